"""API keys as this process remembers them: at most five minutes, and less once they change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from accounts.models import AccessChange, APIKey
from accounts.scopes import permissions_of
from accounts.selectors.access import standing
from core.memory import Memory

if TYPE_CHECKING:
    from uuid import UUID

_SECONDS: Final = 300.0
_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What must be known to judge a key, and no secret."""

    key_id: str
    digest: bytes
    pepper_id: str
    label: str
    owner_id: UUID
    granted: frozenset[str]
    networks: tuple[str, ...]
    expires_at: float
    revoked: bool


_keys: Final = Memory[str, KnownKey | None](most=_MOST, seconds=_SECONDS)


def find(key_id: str) -> KnownKey | None:
    """Return the key of that public id; no query while it is remembered."""
    return _keys.of(key_id, lambda: _read(key_id))


def _read(key_id: str) -> KnownKey | None:
    row = APIKey.objects.filter(key_id=key_id).first()
    if row is None:
        return None
    return KnownKey(
        key_id=row.key_id,
        digest=bytes.fromhex(row.digest),
        pepper_id=row.pepper_id,
        label=row.label,
        owner_id=row.owner_id,
        granted=permissions_of(row.scopes),
        networks=tuple(row.networks),
        expires_at=row.expires_at.timestamp(),
        revoked=row.revoked_at is not None,
    )


def forget(key_id: str = "") -> None:
    """Read a key anew at the next question, or all of them."""
    if key_id:
        _keys.forget(key_id)
    else:
        _keys.forget_all()


standing.listen(AccessChange.Kind.API_KEY, forget)
standing.listen_to_restore(forget)
