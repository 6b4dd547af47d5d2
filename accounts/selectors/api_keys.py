"""API keys as this process remembers them: at most five minutes, and less once they change."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from accounts.models import AccessChange, APIKey
from accounts.scopes import permissions_of
from accounts.selectors.access import standing

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
    forget_at: float


class _Memory:
    def __init__(self) -> None:
        self.keys: OrderedDict[str, KnownKey] = OrderedDict()
        self.turn = 0
        self.lock = threading.Lock()


_memory = _Memory()


def find(key_id: str) -> KnownKey | None:
    """Return the key of that public id; no query while it is remembered."""
    known = _memory.keys.get(key_id)
    if known is not None and time.monotonic() < known.forget_at:
        return known
    # A change that comes in while the row is read makes what was read unfit to be kept.
    turn = _memory.turn
    row = APIKey.objects.filter(key_id=key_id).first()
    if row is None:
        return None
    known = KnownKey(
        key_id=row.key_id,
        digest=bytes.fromhex(row.digest),
        pepper_id=row.pepper_id,
        label=row.label,
        owner_id=row.owner_id,
        granted=permissions_of(row.scopes),
        networks=tuple(row.networks),
        expires_at=row.expires_at.timestamp(),
        revoked=row.revoked_at is not None,
        forget_at=time.monotonic() + _SECONDS,
    )
    with _memory.lock:
        if turn == _memory.turn:
            _memory.keys[key_id] = known
            if len(_memory.keys) > _MOST:
                _memory.keys.popitem(last=False)
    return known


def forget(key_id: str = "") -> None:
    """Read a key anew at the next question, or all of them."""
    with _memory.lock:
        _memory.turn += 1
        if key_id:
            _memory.keys.pop(key_id, None)
        else:
            _memory.keys.clear()


standing.listen(AccessChange.Kind.API_KEY, forget)
standing.listen_to_restore(forget)
