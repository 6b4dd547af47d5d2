"""The chain of the audit log: what is hashed, in which order, and how a head is signed.

Everything is plain: a stranger can verify with SHA-256, Ed25519 and this page.

* body: the columns of BODY_FIELDS joined by U+001F, the time in UTC with microseconds;
* mac: eight digits that name the key, a colon, HMAC-SHA256 of the body in hexadecimal;
* digest: SHA-256 of the body, U+001F and the mac;
* chain: SHA-256 of the chain before, seq and record id as 64-bit big-endian numbers, the digest.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.crypto import key_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

SEPARATOR: Final = "\x1f"
GENESIS: Final = bytes(32)
BODY_FIELDS: Final = (
    "at",
    "category",
    "action",
    "outcome",
    "actor_kind",
    "actor_key",
    "actor_name",
    "on_behalf_of",
    "session",
    "address",
    "user_agent",
    "request_id",
    "trace_id",
    "target_type",
    "target_id",
    "target_name",
    "reason",
    "payload",
)
# A record that the database itself wrote; it holds no key.
UNSIGNED_ACTION: Final = "db.bypassed"

_PLACE: Final = struct.Struct(">QQ")


def told_time(at: datetime) -> str:
    """Return a moment in UTC as it is hashed."""
    return at.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def body_of(texts: Mapping[str, str]) -> bytes:
    """Return what is hashed of a record."""
    return SEPARATOR.join([texts[name] for name in BODY_FIELDS]).encode()


def mac_of(secret: str, body: bytes) -> str:
    """Return the keyed digest that only the platform can make."""
    return f"{_key_id(secret)}:{hmac.digest(secret.encode(), body, 'sha256').hex()}"


@lru_cache(maxsize=8)
def _key_id(secret: str) -> str:
    return key_id(secret)


def digest_of(hashed: bytes) -> bytes:
    """Return what the chain holds of a record: of its body, U+001F and the mac."""
    return hashlib.sha256(hashed).digest()


def next_chain(before: bytes, seq: int, record_id: int, digest: bytes) -> bytes:
    """Return the chain after one more record."""
    return hashlib.sha256(before + _PLACE.pack(seq, record_id) + digest).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain at one moment."""

    size: int
    chain: str
    at: str
    prev: str

    @property
    def message(self) -> bytes:
        """Return the signed text."""
        return (
            f"ops-audit-checkpoint-1\n{self.size}\n{self.chain}\n{self.at}\n{self.prev}\n".encode()
        )

    def digest(self, signature: str) -> str:
        """Return what the next checkpoint names as the one before."""
        return hashlib.sha256(self.message + bytes.fromhex(signature)).hexdigest()


class Signer:
    """Signs heads with a key that is derived from a secret of the keyring."""

    def __init__(self, secret: str) -> None:
        seed = hashlib.sha256(b"audit checkpoint ed25519\0" + secret.encode()).digest()
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()
        self.key_id = key_name(self.public)

    def sign(self, head: Head) -> str:
        """Return the signature in hexadecimal."""
        return self._key.sign(head.message).hex()


def key_name(public: bytes) -> str:
    """Return sixteen digits that name a public key."""
    return hashlib.sha256(public).hexdigest()[:16]


def is_signed(public_keys: Mapping[str, bytes], name: str, head: Head, signature: str) -> bool:
    """Tell whether a known key signed the head."""
    public = public_keys.get(name)
    if public is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(signature), head.message)
    except (InvalidSignature, ValueError):
        return False
    return True
