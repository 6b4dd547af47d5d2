"""Count attempts before they are judged: at most five are verified between two resets (SPEC A4).

An attempt is reserved by one conditional statement before any hash is computed, so that a hundred
at once cannot all be verified. Each statement commits on its own: the counters must stand whatever
becomes of the sign-in, and no lock is held while a hash is computed.
"""

from __future__ import annotations

import math
import threading
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from django.conf import settings
from django.db import connection

from accounts import signals
from accounts.models import AttemptBucket, User
from audit.services.acts import audited
from audit.services.records import record
from core import crypto, tracing
from core.errors import BusyError, TooManyError
from core.ratelimit import subject_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from core.actors import Actor

PEPPER: Final = "ACCESS_PEPPER"
LIMIT: Final = 5
QUIET_SECONDS: Final = 900
DAY_LIMIT: Final = 50
_STALE_SECONDS: Final = 30
_WAIT_SECONDS: Final = 3.0
_PAUSE_SECONDS: Final = 0.02
_DAY: Final = 86_400
_ALL: Final = "all"
_ALL_LIMIT: Final = 1_000
_ALL_SECONDS: Final = 300
_KEEP_SECONDS: Final = 2 * _DAY

_lines: Final[WeakValueDictionary[str, threading.Lock]] = WeakValueDictionary()
_lines_guard: Final = threading.Lock()

_TABLE: Final = AttemptBucket._meta.db_table
# Failures and attempts in flight as they count now: fifteen quiet minutes forget failures; what
# began 30 seconds ago and never ended, as in a process that was killed, was a failure.
_FLYING: Final = "(CASE WHEN pending_at < {now} - {stale} THEN 0 ELSE pending END)"
_LOST: Final = "(CASE WHEN pending_at < {now} - {stale} THEN pending ELSE 0 END)"
_FAILED: Final = (
    "((CASE WHEN last_at < {now} - {quiet} THEN 0 ELSE failures END)"
    " + (CASE WHEN pending_at < {now} - {quiet} THEN 0 ELSE {lost} END))"
)


def _sql(text: str) -> str:
    lost = _LOST.replace("{now}", "%(now)s").replace("{stale}", str(_STALE_SECONDS))
    flying = _FLYING.replace("{now}", "%(now)s").replace("{stale}", str(_STALE_SECONDS))
    failed = (
        _FAILED.replace("{now}", "%(now)s")
        .replace("{quiet}", str(QUIET_SECONDS))
        .replace("{lost}", lost)
    )
    for name, value in (("FAILED", failed), ("FLYING", flying), ("LOST", lost)):
        text = text.replace(name, value)
    # The only names put in are constants of this module.
    return text.replace("TABLE", f'"{_TABLE}"')


_MAKE: Final = _sql(
    "INSERT INTO TABLE (key, failures, pending, last_at, pending_at, day, day_count)"
    " VALUES (%(key)s, 0, 0, 0, 0, 0, 0) ON CONFLICT (key) DO NOTHING"
)
_RESERVE: Final = _sql(
    "UPDATE TABLE SET failures = FAILED, pending = FLYING + 1,"
    " last_at = CASE WHEN LOST > 0 AND pending_at > last_at THEN pending_at ELSE last_at END,"
    " pending_at = %(now)s"
    " WHERE key = %(key)s AND FLYING + FAILED < %(limit)s"
    " AND (%(day_limit)s = 0 OR day <> %(day)s OR day_count < %(day_limit)s)"
)
_WRONG: Final = _sql(
    "UPDATE TABLE SET failures = FAILED + 1,"
    " pending = CASE WHEN %(reserved)s = 1 AND FLYING > 0 THEN FLYING - 1 ELSE FLYING END,"
    " last_at = %(now)s, day_count = CASE WHEN day = %(day)s THEN day_count + 1 ELSE 1 END,"
    " day = %(day)s WHERE key = %(key)s"
)
_GIVE_BACK: Final = _sql(
    "UPDATE TABLE SET pending = pending - 1 WHERE key = %(key)s AND pending > 0"
)
_CLEAR: Final = _sql("UPDATE TABLE SET failures = 0 WHERE key = %(key)s AND failures > 0")
_COUNT_ALL: Final = _sql(
    "UPDATE TABLE SET failures = CASE WHEN last_at < %(now)s - %(window)s THEN 1"
    " ELSE failures + 1 END,"
    " last_at = CASE WHEN last_at < %(now)s - %(window)s THEN %(now)s ELSE last_at END"
    " WHERE key = %(key)s RETURNING failures"
)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A reserved attempt: it must end as right, wrong or given back."""

    key: str
    at: float
    others: tuple[str, ...] = ()
    """Buckets on which a failure counts too."""
    name: str = ""
    """Whose account it is, if it is anybody's."""
    place: str = "password"


def account_key(username: str) -> str:
    """Return the bucket of a name; it exists for names that nobody has, too."""
    return _key("acct", username)


def second_factor_key(user_id: UUID) -> str:
    """Return the bucket of a person's codes."""
    return _key("mfa", str(user_id))


def address_key() -> str:
    """Return the bucket of the address that the request comes from."""
    return _key("addr", subject_of(tracing.current().address))


def device_key(device: str, username: str) -> str:
    """Return the bucket of one browser and one name."""
    return _key("device", f"{device}\0{username}")


def reserve_password(username: str, *, device: str = "", name: str = "") -> Ticket:
    """Reserve the right to verify one password; raises TooManyError or BusyError.

    A browser that signed in under this name before is judged by its own bucket: a stranger cannot
    lock a person out of it. `device` must have been verified by the caller.
    """
    account = account_key(username)
    address = address_key()
    if device:
        key = device_key(device, username)
        return _reserve(key, others=(account, address), name=name)
    _refuse_locked_address(address)
    return _reserve(account, others=(address,), name=name)


def reserve_second_factor(user_id: UUID, *, name: str) -> Ticket:
    """Reserve the right to verify one code; raises TooManyError or BusyError."""
    key = second_factor_key(user_id)
    others = (address_key(),)
    return _reserve(key, others=others, name=name, place="second factor", day_limit=DAY_LIMIT)


def refuse_locked_address() -> None:
    """Raise TooManyError when the address must wait; for ways in without a name."""
    _refuse_locked_address(address_key())


def wrong(ticket: Ticket) -> None:
    """Count a failure, and tell when it was the one that locks."""
    now = time.time()
    with connection.cursor() as cursor:
        for key in (ticket.key, *ticket.others):
            if key != ticket.key:
                cursor.execute(_MAKE, {"key": key})
            given = {**_now(now), "key": key, "reserved": int(_holds(ticket, key, now))}
            cursor.execute(_WRONG, given)
    if ticket.at > 0 and _failures(ticket.key, now) == LIMIT:
        signals.tell(
            signals.account_locked,
            name=ticket.name,
            address=tracing.current().address,
            place=ticket.place,
            minutes=QUIET_SECONDS // 60,
        )
    _count_for_all(now)


def wrong_without_name() -> None:
    """Count a failure on the address alone: a passkey that nobody has."""
    wrong(Ticket(key=address_key(), at=0.0, place="passkey"))


def right(ticket: Ticket) -> None:
    """End an attempt that was right; failures stay counted until the person is fully signed in."""
    give_back(ticket)


def give_back(ticket: Ticket) -> None:
    """End an attempt that was not judged at all."""
    if _holds(ticket, ticket.key, time.time()):
        _run(_GIVE_BACK, key=ticket.key)


def clear(keys: Sequence[str]) -> None:
    """Forget the failures under these keys: the person has fully signed in."""
    for key in keys:
        _run(_CLEAR, key=key)


@audited
def unlock(*, actor: Actor, user_id: UUID) -> None:
    """Let a person try again at once."""
    user = User.objects.get(pk=user_id)
    clear((account_key(user.username), second_factor_key(user_id)))
    AttemptBucket.objects.filter(key=second_factor_key(user_id)).update(day_count=0)
    record(actor=actor, action="user.unlocked", target=user)


def locked_until(username: str, user_id: UUID | None = None) -> datetime | None:
    """Return until when a person must wait, by name or by second factor."""
    now = time.time()
    keys = {account_key(username): 0}
    if user_id is not None:
        keys[second_factor_key(user_id)] = DAY_LIMIT
    buckets = AttemptBucket.objects.filter(key__in=keys)
    longest = max((_wait(it, now, day_limit=keys[it.key]) for it in buckets), default=0.0)
    return datetime.fromtimestamp(now + longest, tz=UTC) if longest > 0 else None


def clear_old() -> int:
    """Delete buckets that say nothing any more."""
    before = time.time() - _KEEP_SECONDS
    return AttemptBucket.objects.filter(last_at__lt=before, pending_at__lt=before).delete()[0]


def _reserve(
    key: str,
    *,
    others: tuple[str, ...],
    name: str,
    place: str = "password",
    day_limit: int = 0,
) -> Ticket:
    give_up = time.monotonic() + _WAIT_SECONDS
    # Of the threads of this process that want the same, one asks the database: a hundred that ask
    # fifty times a second would leave no time to compute hashes.
    waiting = _line(key)
    if not waiting.acquire(timeout=_WAIT_SECONDS):
        raise _busy()
    try:
        while True:
            now = time.time()
            if _take(key, now, day_limit):
                return Ticket(key, now, others, name, place)
            if time.monotonic() > give_up:
                raise _busy()
            time.sleep(_PAUSE_SECONDS)
    finally:
        waiting.release()


def _take(key: str, now: float, day_limit: int) -> bool:
    """Reserve one attempt if there is room; raises TooManyError while nothing is verified."""
    # A read comes first: whoever is locked out, or must wait, must not make the database write.
    bucket = AttemptBucket.objects.filter(key=key).first()
    if bucket is None:
        _run(_MAKE, key=key)
    elif (wait := _wait(bucket, now, day_limit=day_limit)) > 0:
        raise _locked(wait)
    elif bucket.pending >= LIMIT and bucket.pending_at >= now - _STALE_SECONDS:
        return False
    given = {**_now(now), "key": key, "limit": LIMIT, "day_limit": day_limit}
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, given)
        taken: bool = cursor.rowcount == 1
        return taken


def _line(key: str) -> threading.Lock:
    with _lines_guard:
        return _lines.setdefault(key, threading.Lock())


def _busy() -> BusyError:
    message = "Other attempts for this account are being judged. Try again in a moment."
    return BusyError(message, retry_after=2)


def _refuse_locked_address(key: str) -> None:
    bucket = AttemptBucket.objects.filter(key=key).first()
    if bucket is None:
        return
    wait = _wait(bucket, time.time(), limit=settings.OPS_LOCKOUT_ADDRESS_FAILURES)
    if wait > 0:
        raise _locked(wait, "from your network")


def _wait(bucket: AttemptBucket, now: float, *, limit: int = LIMIT, day_limit: int = 0) -> float:
    """Return for how many seconds nothing is verified under this key; 0 means that it is."""
    failures = bucket.failures if bucket.last_at >= now - QUIET_SECONDS else 0
    last = bucket.last_at
    if bucket.pending and now - QUIET_SECONDS <= bucket.pending_at < now - _STALE_SECONDS:
        failures += bucket.pending
        last = max(last, bucket.pending_at)
    wait = last + QUIET_SECONDS - now if failures >= limit else 0.0
    if day_limit and bucket.day == int(now // _DAY) and bucket.day_count >= day_limit:
        wait = max(wait, (bucket.day + 1) * _DAY - now)
    return max(0.0, wait)


def _locked(wait: float, where: str = "") -> TooManyError:
    # The same for names that exist and names that do not.
    seconds = max(1, math.ceil(wait))
    minutes = math.ceil(seconds / 60)
    told = "a minute" if minutes == 1 else f"{minutes} minutes"
    message = (
        f"Too many failed attempts {where}. Try again in {told}."
        if where
        else f"Too many failed attempts. Try again in {told}, or ask an admin to unlock you."
    )
    return TooManyError(message, retry_after=seconds)


def _holds(ticket: Ticket, key: str, now: float) -> bool:
    # After so long it has been counted as lost, or will be; giving it back would free another's.
    return key == ticket.key and ticket.at > 0 and now - ticket.at < _STALE_SECONDS


def _failures(key: str, now: float) -> int:
    bucket = AttemptBucket.objects.filter(key=key, last_at__gte=now - QUIET_SECONDS).first()
    return bucket.failures if bucket is not None else 0


def _count_for_all(now: float) -> None:
    key = _key(_ALL, "")
    with connection.cursor() as cursor:
        cursor.execute(_MAKE, {"key": key})
        cursor.execute(_COUNT_ALL, {"key": key, "now": now, "window": float(_ALL_SECONDS)})
        row = cursor.fetchone()
    if row is not None and row[0] == _ALL_LIMIT:
        signals.tell(signals.many_failures, failures=_ALL_LIMIT, minutes=_ALL_SECONDS // 60)


def _now(now: float) -> dict[str, float | int]:
    return {"now": now, "day": int(now // _DAY)}


def _run(statement: str, *, key: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"key": key, "now": time.time()})


def _key(kind: str, value: str) -> str:
    secret = settings.KEYRING.ensure(PEPPER)
    digest = crypto.keyed_digest(secret, f"attempt\0{kind}\0{value}")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
