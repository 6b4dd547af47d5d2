"""The signing keys as this process knows them: which verify, and which one signs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings
from jwt.algorithms import RSAAlgorithm

from accounts.engine.tokens import Issuer
from accounts.models import AccessChange, SigningKey
from accounts.selectors.access import standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

# An unknown key may have come a moment ago; strangers make us look no oftener.
_LOOK_SECONDS: Final = 1.0
_PUBLISHED: Final = (
    SigningKey.State.STAGED,
    SigningKey.State.ACTIVE,
    SigningKey.State.RETIRING,
)


@dataclass(frozen=True, slots=True)
class Ring:
    """The keys that are trusted now."""

    keys: Mapping[str, RSAPublicKey]
    read_at: float


@dataclass(frozen=True, slots=True)
class Signer:
    """The key that signs now."""

    kid: str
    key: RSAPrivateKey


class _Memory:
    def __init__(self) -> None:
        self.ring: Ring | None = None
        self.signer: Signer | None = None
        self.turn = 0
        self.lock = threading.Lock()


_memory = _Memory()


def forget(_value: str = "") -> None:
    """Read the keys anew at the next question."""
    with _memory.lock:
        _memory.turn += 1
        _memory.ring = None
        _memory.signer = None


standing.listen(AccessChange.Kind.KEYS, forget)
standing.listen(AccessChange.Kind.SIGNING_KEY, forget)
standing.listen_to_restore(forget)


def issuer() -> Issuer:
    """Return what our tokens name as their issuer and audience."""
    return Issuer(settings.BASE_URL, "opsplatform")


def key_of(kid: str) -> RSAPublicKey | None:
    """Return the key that verifies what `kid` signed; no query while it is known."""
    ring = _ring()
    found = ring.keys.get(kid)
    if found is None and time.monotonic() - ring.read_at > _LOOK_SECONDS:
        forget()
        found = _ring().keys.get(kid)
    return found


def signer() -> Signer | None:
    """Return the key that signs now, or None before there is one."""
    found = _memory.signer
    if found is not None:
        return found
    turn = _memory.turn
    row = SigningKey.objects.filter(state=SigningKey.State.ACTIVE).first()
    if row is None:
        return None
    private = load_pem_private_key(row.private_pem.encode(), password=None)
    read = Signer(row.kid, cast("RSAPrivateKey", private))
    with _memory.lock:
        if turn == _memory.turn:
            _memory.signer = read
    return read


def published() -> list[dict[str, Any]]:
    """Return the public keys as a JSON Web Key Set shows them (RFC 7517)."""
    rows = SigningKey.objects.filter(state__in=_PUBLISHED).order_by("created_at")
    return [dict(row.public_jwk) for row in rows]


def _ring() -> Ring:
    found = _memory.ring
    if found is not None:
        return found
    turn = _memory.turn
    read_at = time.monotonic()
    keys = {
        row.kid: cast("RSAPublicKey", RSAAlgorithm.from_jwk(row.public_jwk))
        for row in SigningKey.objects.filter(state__in=_PUBLISHED).defer("private_pem")
    }
    read = Ring(keys, read_at)
    with _memory.lock:
        if turn == _memory.turn:
            _memory.ring = read
    return read
