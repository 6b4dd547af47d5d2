"""The counters behind the lockout: one row a key, changed by single conditional statements.

Each statement commits on its own: the counters must stand whatever becomes of the sign-in, and no
lock is held while a hash is computed. Times are told by the machine's clock, which may be set back:
what lies in the future is taken as now.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from typing import Final

from django.conf import settings
from django.db import connection

from accounts.models import AttemptBucket
from core import crypto

PEPPER: Final = "ACCESS_PEPPER"
LIMIT: Final = 5
QUIET_SECONDS: Final = 900
STALE_SECONDS: Final = 30
_DAY: Final = 86_400
_KEEP_SECONDS: Final = 2 * _DAY
# Clocks of several machines differ by less.
_SKEW_SECONDS: Final = 60

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
    lost = _LOST.replace("{now}", "%(now)s").replace("{stale}", str(STALE_SECONDS))
    flying = _FLYING.replace("{now}", "%(now)s").replace("{stale}", str(STALE_SECONDS))
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
    "INSERT INTO TABLE"
    " (key, failures, pending, last_at, pending_at, day, day_count, account, last_from)"
    " VALUES (%(key)s, 0, 0, 0, 0, 0, 0, %(account)s, '') ON CONFLICT (key) DO NOTHING"
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
    " last_at = %(now)s, last_from = %(last_from)s,"
    " day_count = CASE WHEN day = %(day)s THEN day_count + 1 ELSE 1 END,"
    " day = %(day)s WHERE key = %(key)s"
)
_GIVE_BACK: Final = _sql(
    "UPDATE TABLE SET pending = pending - 1 WHERE key = %(key)s AND pending > 0"
)
_CLEAR: Final = _sql("UPDATE TABLE SET failures = 0 WHERE key = %(key)s AND failures > 0")
_COUNT_ALL: Final = _sql(
    "UPDATE TABLE SET failures = CASE WHEN last_at < %(now)s - %(window)s"
    " OR last_at > %(now)s + %(skew)s THEN 1 ELSE failures + 1 END,"
    " last_at = CASE WHEN last_at < %(now)s - %(window)s"
    " OR last_at > %(now)s + %(skew)s THEN %(now)s ELSE last_at END"
    " WHERE key = %(key)s RETURNING failures"
)
_CALL_BACK: Final = _sql(
    "UPDATE TABLE SET"
    " last_at = CASE WHEN last_at > %(latest)s THEN %(now)s ELSE last_at END,"
    " pending_at = CASE WHEN pending_at > %(latest)s THEN %(now)s ELSE pending_at END"
    " WHERE key = %(key)s"
)


def key_of(kind: str, value: str) -> str:
    """Return the key of a counter; it does not tell what is counted."""
    secret = settings.KEYRING.ensure(PEPPER)
    digest = crypto.keyed_digest(secret, f"attempt\0{kind}\0{value}")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def read(key: str, now: float) -> AttemptBucket | None:
    """Return a counter, if there is one; times in the future are set to now first."""
    bucket = AttemptBucket.objects.filter(key=key).first()
    latest = now + _SKEW_SECONDS
    if bucket is not None and max(bucket.last_at, bucket.pending_at) > latest:
        _run(_CALL_BACK, key=key, now=now, latest=latest)
        bucket.refresh_from_db()
    return bucket


def wait_of(bucket: AttemptBucket, now: float, *, limit: int = LIMIT, day_limit: int = 0) -> float:
    """Return for how many seconds nothing is verified under this key; 0 means that it is."""
    last = min(bucket.last_at, now)
    failures = bucket.failures if last >= now - QUIET_SECONDS else 0
    begun = min(bucket.pending_at, now)
    if bucket.pending and now - QUIET_SECONDS <= begun < now - STALE_SECONDS:
        failures += bucket.pending
        last = max(last, begun)
    wait = last + QUIET_SECONDS - now if failures >= limit else 0.0
    if day_limit and bucket.day == int(now // _DAY) and bucket.day_count >= day_limit:
        wait = max(wait, (bucket.day + 1) * _DAY - now)
    return max(0.0, wait)


def make(key: str, *, account: str = "") -> None:
    """Make a counter unless it is there; that of a browser names the account it belongs to."""
    _run(_MAKE, key=key, account=account)


def reserve(key: str, now: float, *, day_limit: int) -> bool:
    """Reserve one attempt if there is room; of a hundred at once five get it."""
    return _run(_RESERVE, key=key, limit=LIMIT, day_limit=day_limit, **_at(now)) == 1


def fail(key: str, now: float, *, reserved: bool, last_from: str) -> None:
    """Count a failure, and remember the address that it came from."""
    _run(_WRONG, key=key, reserved=int(reserved), last_from=last_from, **_at(now))


def give_back(key: str) -> None:
    """End an attempt that was reserved."""
    _run(_GIVE_BACK, key=key)


def clear(key: str) -> None:
    """Forget the failures under this key."""
    _run(_CLEAR, key=key)


def count(key: str, now: float, *, window: float) -> int:
    """Count one in a window of time that begins with the first; return how many there are."""
    make(key)
    given: dict[str, str | float] = {
        "key": key,
        "now": now,
        "window": window,
        "skew": _SKEW_SECONDS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_ALL, given)
        row = cursor.fetchone()
    return int(row[0]) if row is not None else 0


def failures_of(key: str, now: float) -> int:
    """Return how many failures count under this key."""
    bucket = AttemptBucket.objects.filter(key=key, last_at__gte=now - QUIET_SECONDS).first()
    return bucket.failures if bucket is not None else 0


def clear_old() -> int:
    """Delete counters that say nothing any more."""
    before = time.time() - _KEEP_SECONDS
    return AttemptBucket.objects.filter(last_at__lt=before, pending_at__lt=before).delete()[0]


def _at(now: float) -> dict[str, float | int]:
    return {"now": now, "day": int(now // _DAY)}


def _run(statement: str, **given: str | float) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        changed: int = cursor.rowcount
        return changed
