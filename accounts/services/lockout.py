"""Count attempts before they are judged: at most five are verified between two resets (SPEC A4).

An attempt is reserved by one conditional statement before any hash is computed, so that a hundred
at once cannot all be verified.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from django.conf import settings

from accounts import signals
from accounts.models import AttemptBucket, User
from accounts.services import buckets
from accounts.services.buckets import LIMIT, QUIET_SECONDS, STALE_SECONDS, clear_old, key_of
from audit.services.acts import audited
from audit.services.records import record
from core import tracing
from core.errors import BusyError, TooManyError
from core.ratelimit import subject_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from core.actors import Actor

__all__ = ["LIMIT", "clear_old"]

DAY_LIMIT: Final = 50
_WAIT_SECONDS: Final = 3.0
_PAUSE_SECONDS: Final = 0.02
_ALL: Final = "all"
_ALL_LIMIT: Final = 1_000
_ALL_SECONDS: Final = 300
_MARK_CHARACTERS: Final = 8

_lines: Final[WeakValueDictionary[str, threading.Lock]] = WeakValueDictionary()
_lines_guard: Final = threading.Lock()


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
    return key_of("acct", username)


def second_factor_key(user_id: UUID) -> str:
    """Return the bucket of a person's codes."""
    return key_of("mfa", str(user_id))


def again_key(user_id: UUID) -> str:
    """Return the bucket of the password of somebody who is signed in already."""
    return key_of("reauth", str(user_id))


def address_key() -> str:
    """Return the bucket of the address that the request comes from."""
    return key_of("addr", subject_of(tracing.current().address))


def device_key(device: str, username: str) -> str:
    """Return the bucket of one browser and one name."""
    return key_of("device", f"{device}\0{username}")


def mark_of(username: str) -> str:
    """Return what tells names apart on the record that must not stand there themselves."""
    return f"hmac:{key_of('mark', username)[:_MARK_CHARACTERS]}"


def reserve_password(username: str, *, device: str = "", name: str = "") -> Ticket:
    """Reserve the right to verify one password; raises TooManyError or BusyError.

    A browser that signed in under this name before is judged by its own bucket: a stranger cannot
    lock a person out of it. `device` must have been verified by the caller.
    """
    account = account_key(username)
    address = address_key()
    if device:
        key = device_key(device, username)
        return _reserve(key, others=(account, address), name=name, account=account)
    _refuse_locked_address(address)
    return _reserve(account, others=(address,), name=name)


def reserve_again(user_id: UUID, *, name: str) -> Ticket:
    """Reserve the right to verify the password of somebody who is signed in.

    Its bucket is the person's own: strangers, who can fill those of names and addresses, cannot
    keep a person from proving who they are. Failures count on those all the same.
    """
    others = (account_key(name), address_key())
    return _reserve(again_key(user_id), others=others, name=name)


def reserve_second_factor(user_id: UUID, *, name: str) -> Ticket:
    """Reserve the right to verify one code; raises TooManyError or BusyError."""
    key = second_factor_key(user_id)
    others = (address_key(),)
    return _reserve(key, others=others, name=name, place="second factor", day_limit=DAY_LIMIT)


def refuse_locked_address() -> None:
    """Raise TooManyError when the address must wait; for steps that have no bucket of a name."""
    _refuse_locked_address(address_key())


def wrong(ticket: Ticket) -> None:
    """Count a failure, and tell when it was the one that locks."""
    now = time.time()
    address = address_key()
    for key in (ticket.key, *ticket.others):
        if key != ticket.key:
            buckets.make(key)
        buckets.fail(key, now, reserved=_holds(ticket, key, now), last_from=address)
    if ticket.at > 0 and buckets.failures_of(ticket.key, now) == LIMIT:
        signals.tell(
            signals.account_locked,
            name=ticket.name,
            address=tracing.current().address,
            place=ticket.place,
            minutes=QUIET_SECONDS // 60,
        )
    if buckets.count(key_of(_ALL, ""), now, window=float(_ALL_SECONDS)) == _ALL_LIMIT:
        signals.tell(signals.many_failures, failures=_ALL_LIMIT, minutes=_ALL_SECONDS // 60)


def wrong_without_name() -> None:
    """Count a failure on the address alone: a passkey that nobody has."""
    wrong(Ticket(key=address_key(), at=0.0, place="passkey"))


def right(ticket: Ticket) -> None:
    """End an attempt that was right; failures stay counted until the person is fully signed in."""
    give_back(ticket)


def give_back(ticket: Ticket) -> None:
    """End an attempt that was not judged at all."""
    if _holds(ticket, ticket.key, time.time()):
        buckets.give_back(ticket.key)


def clear(keys: Sequence[str]) -> None:
    """Forget the failures under these keys: the person has fully signed in."""
    for key in keys:
        buckets.clear(key)


@audited
def unlock(*, actor: Actor, user_id: UUID) -> None:
    """Let a person try again at once."""
    user = User.objects.get(pk=user_id)
    forgive(user)
    record(actor=actor, action="user.unlocked", target=user)


def forgive(user: User) -> None:
    """Forget what was tried wrongly: by name, browsers, codes, and at the last one's address.

    Whoever mistypes five times at one address has locked the address as well.
    """
    now = time.time()
    for bucket in _of(user.username, user.pk):
        if buckets.wait_of(bucket, now, limit=1, day_limit=DAY_LIMIT) and bucket.last_from:
            buckets.clear(bucket.last_from)
        buckets.clear(bucket.key)
    AttemptBucket.objects.filter(key=second_factor_key(user.pk)).update(day_count=0)


def locked_until(username: str, user_id: UUID | None = None) -> datetime | None:
    """Return until when a person must wait: by name, by second factor, or at their address."""
    now = time.time()
    days = {second_factor_key(user_id): DAY_LIMIT} if user_id is not None else {}
    longest = 0.0
    addresses = set()
    for bucket in _of(username, user_id):
        longest = max(longest, buckets.wait_of(bucket, now, day_limit=days.get(bucket.key, 0)))
        if bucket.last_from and buckets.wait_of(bucket, now, limit=1):
            addresses.add(bucket.last_from)
    limit = settings.OPS_LOCKOUT_ADDRESS_FAILURES
    for bucket in AttemptBucket.objects.filter(key__in=addresses):
        longest = max(longest, buckets.wait_of(bucket, now, limit=limit))
    return datetime.fromtimestamp(now + longest, tz=UTC) if longest > 0 else None


def _of(username: str, user_id: UUID | None) -> list[AttemptBucket]:
    """Return the buckets of one person."""
    account = account_key(username)
    keys = [account]
    if user_id is not None:
        keys += [second_factor_key(user_id), again_key(user_id)]
    found = AttemptBucket.objects
    return [*found.filter(key__in=keys), *found.filter(account=account)]


def _reserve(
    key: str,
    *,
    others: tuple[str, ...],
    name: str,
    place: str = "password",
    day_limit: int = 0,
    account: str = "",
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
            if _take(key, now, day_limit, account):
                return Ticket(key, now, others, name, place)
            if time.monotonic() > give_up:
                raise _busy()
            time.sleep(_PAUSE_SECONDS)
    finally:
        waiting.release()


def _take(key: str, now: float, day_limit: int, account: str) -> bool:
    """Reserve one attempt if there is room; raises TooManyError while nothing is verified."""
    # A read comes first: whoever is locked out, or must wait, must not make the database write.
    bucket = buckets.read(key, now)
    if bucket is None:
        buckets.make(key, account=account)
    elif (wait := buckets.wait_of(bucket, now, day_limit=day_limit)) > 0:
        raise _locked(wait)
    elif bucket.pending >= LIMIT and bucket.pending_at >= now - STALE_SECONDS:
        return False
    return buckets.reserve(key, now, day_limit=day_limit)


def _line(key: str) -> threading.Lock:
    with _lines_guard:
        return _lines.setdefault(key, threading.Lock())


def _busy() -> BusyError:
    message = "Other attempts for this account are being judged. Try again in a moment."
    return BusyError(message, retry_after=2)


def _refuse_locked_address(key: str) -> None:
    now = time.time()
    bucket = buckets.read(key, now)
    if bucket is None:
        return
    wait = buckets.wait_of(bucket, now, limit=settings.OPS_LOCKOUT_ADDRESS_FAILURES)
    if wait > 0:
        raise _locked(wait, "from your network")


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
    return key == ticket.key and ticket.at > 0 and now - ticket.at < STALE_SECONDS
