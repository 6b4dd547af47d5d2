"""The signing keys as this process knows them: which verify, and which one signs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings
from jwt.algorithms import RSAAlgorithm

from accounts.engine.tokens import Issuer
from accounts.models import AccessChange, SigningKey
from accounts.selectors.access import standing
from core.memory import Memory

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


_rings: Final = Memory[None, Ring]()
_signers: Final = Memory[None, Signer | None]()


def forget(_value: str = "") -> None:
    """Read the keys anew at the next question."""
    _rings.forget_all()
    _signers.forget_all()


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
    return _signers.of(None, _read_signer)


def _read_signer() -> Signer | None:
    row = SigningKey.objects.filter(state=SigningKey.State.ACTIVE).first()
    if row is None:
        return None
    return Signer(row.kid, _loaded(row.private_pem))


@lru_cache(maxsize=2)
def _loaded(pem: str) -> RSAPrivateKey:
    """Return the key of a text, whose parts are checked against each other once: that takes 50 ms.

    Whether the key may sign is judged by its row, each time it is read.
    """
    return cast("RSAPrivateKey", load_pem_private_key(pem.encode(), password=None))


def published() -> list[dict[str, Any]]:
    """Return the public keys as a JSON Web Key Set shows them (RFC 7517)."""
    rows = SigningKey.objects.filter(state__in=_PUBLISHED).order_by("created_at")
    return [dict(row.public_jwk) for row in rows]


def _ring() -> Ring:
    return _rings.of(None, _read_ring)


def _read_ring() -> Ring:
    read_at = time.monotonic()
    keys = {
        row.kid: cast("RSAPublicKey", RSAAlgorithm.from_jwk(row.public_jwk))
        for row in SigningKey.objects.filter(state__in=_PUBLISHED).defer("private_pem")
    }
    return Ring(keys, read_at)
