"""Access tokens: verified once, then remembered and judged anew on each request (SPEC A2, A3)."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from accounts.actors import PersonPrincipal
from accounts.engine import tokens
from accounts.engine.tokens import LEEWAY_SECONDS, MOST_BYTES, Fault, InvalidTokenError
from accounts.selectors import access, signing
from accounts.services import sessions
from audit.services.records import record_refusal
from core import tracing, volatile
from core.actors import ANONYMOUS

if TYPE_CHECKING:
    from accounts.engine.tokens import Claims

MOST_REMEMBERED: Final = 20_000
_MOST_NOTED: Final = 20_000
_EVENT_SECONDS: Final = 60


class _Verified:
    """Tokens whose signature was right, by their hash; the last used ones."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        # Another thread of the parent may have held the lock at the fork.
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[Claims, PersonPrincipal]] = OrderedDict()

    def get(self, mark: bytes) -> tuple[Claims, PersonPrincipal] | None:
        with self._lock:
            found = self._known.get(mark)
            if found is not None:
                self._known.move_to_end(mark)
            return found

    def put(self, mark: bytes, claims: Claims, principal: PersonPrincipal) -> None:
        with self._lock:
            self._known[mark] = claims, principal
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._known.clear()

    def __len__(self) -> int:
        return len(self._known)


verified: Final = _Verified()
_noted: dict[str, float] = {}


def forget() -> None:
    """Verify every token anew; for tests."""
    verified.clear()
    _noted.clear()


def principal_of(raw: str, *, reading: bool = False) -> PersonPrincipal | None:
    """Return who holds the token, or None for whatever is no valid token of an active person.

    The signature is verified once; time, session, token, key and epoch on each request, in memory.
    Raises UnavailableError while nobody can find out what was revoked.
    """
    if len(raw) > MOST_BYTES:
        _tell_forged(Fault.TOO_LONG)
        return None
    access.fresh(reading=reading)
    mark = sha256(raw.encode("utf-8", "surrogatepass")).digest()
    known = verified.get(mark)
    if known is None:
        claims = _verify(raw)
        if claims is None:
            return None
        old = None
    else:
        claims, old = known
        now = time.time()
        if claims.expires_at + LEEWAY_SECONDS <= now or claims.not_before - LEEWAY_SECONDS > now:
            return None
    found = _standing_principal(claims, old)
    if found is not None and found is not old:
        verified.put(mark, claims, found)
    if found is not None:
        _note_use(claims.sid)
    return found


def _standing_principal(claims: Claims, old: PersonPrincipal | None) -> PersonPrincipal | None:
    if old is not None:
        return _judge(claims.sid, claims.jti, claims.kid, claims.epoch, old)
    person = access.snapshot(claims.user_id)
    if person is None:
        return None
    fresh = PersonPrincipal(
        person, claims.sid, claims.jti, claims.kid, claims.epoch, claims.methods
    )
    return _judge(claims.sid, claims.jti, claims.kid, claims.epoch, fresh)


def _judge(
    sid: str, jti: str, kid: str, epoch: str, principal: PersonPrincipal
) -> PersonPrincipal | None:
    if access.standing.is_ended(sid=sid, jti=jti, kid=kid) or signing.key_of(kid) is None:
        return None
    person = access.snapshot(principal.snapshot.user_id)
    if person is None or not person.is_active or person.epoch != epoch:
        return None
    if person is principal.snapshot:
        return principal
    return PersonPrincipal(person, sid, jti, kid, epoch, principal.methods)


def _verify(raw: str) -> Claims | None:
    try:
        return tokens.read(raw, issuer=signing.issuer(), key_of=signing.key_of, now=time.time())
    except InvalidTokenError as error:
        if error.fault is not Fault.TIME:
            _tell_forged(error.fault)
        return None


def _tell_forged(fault: Fault) -> None:
    """Record a token that was never one of ours, at most once a minute from each address."""
    address = tracing.current().address
    if volatile.once(key=f"forged@{address}", seconds=_EVENT_SECONDS):
        record_refusal(actor=ANONYMOUS, action="token.refused", reason=f"No valid token: {fault}.")


def _note_use(sid: str) -> None:
    now = time.monotonic()
    if now - _noted.get(sid, float("-inf")) < sessions.SEEN_SECONDS:
        return
    if len(_noted) >= _MOST_NOTED:
        _noted.clear()
    _noted[sid] = now
    sessions.note_use(sid)
