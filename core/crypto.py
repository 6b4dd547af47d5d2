"""Sealing of stored values: AES-256-GCM with key ids (NIST SP 800-38D)."""

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.keyring import KeyringError

_NONCE_BYTES = 12


class UnsealError(KeyringError):
    """The value was sealed with another key, for another place, or was changed."""


def seal(secret: str, plaintext: bytes, *, context: str) -> str:
    """Return `v1.<key id>.<base64url>`; the context binds the value to its place."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_key(secret)).encrypt(nonce, plaintext, context.encode())
    return f"v1.{key_id(secret)}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def unseal(secrets: Iterable[str], sealed: str, *, context: str) -> bytes:
    """Return the plaintext, opened with whichever of the secrets sealed it; raises UnsealError."""
    version, _, rest = sealed.partition(".")
    wanted, _, encoded = rest.partition(".")
    for secret in secrets:
        if version == "v1" and hmac.compare_digest(key_id(secret), wanted):
            try:
                raw = base64.urlsafe_b64decode(encoded)
                return AESGCM(_key(secret)).decrypt(
                    raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context.encode()
                )
            except (ValueError, InvalidTag):
                break
    message = "A sealed value cannot be opened with the keys of this keyring."
    raise UnsealError(message)


def key_id(secret: str) -> str:
    """Return eight hexadecimal digits that name a key without telling it."""
    return hashlib.sha256(b"key id\0" + secret.encode()).hexdigest()[:8]


def keyed_digest(secret: str, value: str) -> bytes:
    """Return HMAC-SHA256: what is stored or compared in place of a credential."""
    return hmac.digest(secret.encode(), value.encode("utf-8", "surrogatepass"), "sha256")


def _key(secret: str) -> bytes:
    # The keyring's values carry 384 random bits; a plain hash brings them to the key's length.
    return hashlib.sha256(b"aes-256-gcm\0" + secret.encode()).digest()
