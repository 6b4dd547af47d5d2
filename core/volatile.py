"""Counters that may be lost: rate limits in Redis, or in one SQLite file beside the database.

The algorithm is GCRA, the generic cell rate algorithm (ITU-T I.371): one number per key, the
theoretical arrival time of the next request.
"""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import threading
import time
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

from django.conf import settings

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 10.0
_MOST_LOCAL_KEYS: Final = 10_000
_PRUNE_SHARE: Final = 1e-4  # of the requests clear away keys that a day has not seen

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS rate (key TEXT PRIMARY KEY, tat REAL NOT NULL) WITHOUT ROWID"
)
# A time further ahead than the limit itself allows was written before the clock stepped back.
_UPSERT: Final = """
INSERT INTO rate (key, tat) VALUES (:key, :now + :interval)
ON CONFLICT (key) DO UPDATE
SET tat = CASE WHEN tat > :now + :tolerance THEN :now ELSE max(tat, :now) END + :interval
WHERE max(tat, :now) + :interval <= :now + :tolerance + 1e-6 OR tat > :now + :tolerance + 1e-6
RETURNING tat
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request may pass, how many more may follow at once, and when to try again."""

    allowed: bool
    remaining: int
    retry_after_seconds: float


class _Store(Protocol):
    def advance(
        self, key: str, now: float, interval: float, tolerance: float
    ) -> tuple[bool, float]: ...


class _LocalStore:
    """The last resort, when neither Redis nor the file answers: this process alone counts."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self._lock = threading.Lock()

    def advance(
        self, key: str, now: float, interval: float, tolerance: float
    ) -> tuple[bool, float]:
        with self._lock:
            if len(self._times) >= _MOST_LOCAL_KEYS:
                self._times = {k: t for k, t in self._times.items() if t > now}
            new = max(self._times.get(key, now), now) + interval
            if new > now + tolerance + 1e-6:
                return False, new - interval
            self._times[key] = new
            return True, new


class _FileStore:
    """One SQLite file for all processes of a machine; a connection per thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._opening = threading.Lock()

    def advance(
        self, key: str, now: float, interval: float, tolerance: float
    ) -> tuple[bool, float]:
        connection = self._connection()
        if random.random() < _PRUNE_SHARE:  # noqa: S311  # no secret depends on it
            connection.execute("DELETE FROM rate WHERE tat < ?", (now - 86_400,))
        values = {"key": key, "now": now, "interval": interval, "tolerance": tolerance}
        # All rows are fetched: the autocommit ends only with the statement.
        if rows := connection.execute(_UPSERT, values).fetchall():
            return True, rows[0][0]
        found = connection.execute("SELECT tat FROM rate WHERE key = ?", (key,)).fetchall()
        return False, found[0][0] if found else now

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            # Switching to WAL needs the file alone for a moment; threads that begin together wait.
            with self._opening:
                connection = sqlite3.connect(self._path, timeout=5, isolation_level=None)
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=OFF")
                connection.execute(_SCHEMA)
                connection.execute("DELETE FROM rate WHERE tat < ?", (time.time() - 86_400,))
                connection.execute("PRAGMA busy_timeout=200")
            self._local.connection = connection
        return connection


class Limiter:
    """Chooses the store, and counts alone for a while when the store does not answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._store: _Store | None = None
        self._local = _LocalStore()
        self._away_until = float("-inf")

    def advance(
        self, key: str, now: float, interval: float, tolerance: float
    ) -> tuple[bool, float]:
        """Take one step for the key; return whether it passed and the resulting arrival time."""
        if time.monotonic() >= self._away_until:
            try:
                return self._chosen().advance(key, now, interval, tolerance)
            except (sqlite3.Error, OSError) as error:
                self._away_until = time.monotonic() + _RETRY_SECONDS
                logger.warning("Rate limits are counted by this process alone (%s).", error)
        # At half the rate: other processes count alone too.
        return self._local.advance(key, now, interval * 2, max(tolerance, interval * 2))

    def _chosen(self) -> _Store:
        with self._lock:
            if self._store is None:
                self._store = (
                    _redis_store()
                    if settings.REDIS_URL
                    else _FileStore(settings.OPS_DATA_DIR / "volatile.sqlite3")
                )
            return self._store


def _redis_store() -> _Store:
    # The client's import costs as much as all of Django's; only Redis users pay for it.
    module = import_module("core.volatile_redis")
    store: _Store = module.RedisStore(settings.REDIS_URL)
    return store


_limiter = Limiter()


def allow(*, key: str, limit: int, period_seconds: float, burst: int | None = None) -> Decision:
    """Count one request against `limit` per period; up to `burst` (all) may come at once."""
    interval = period_seconds / limit
    tolerance = interval * (limit if burst is None else burst)
    now = time.time()
    allowed, arrival = _limiter.advance(key, now, interval, tolerance)
    if allowed:
        remaining = max(0, int((now + tolerance - arrival) / interval + 1e-6))
        return Decision(allowed=True, remaining=remaining, retry_after_seconds=0.0)
    return Decision(
        allowed=False,
        remaining=0,
        retry_after_seconds=max(0.0, arrival + interval - tolerance - now),
    )


def once(*, key: str, seconds: float) -> bool:
    """Return True the first time in so many seconds, False afterwards."""
    return allow(key=f"once:{key}", limit=1, period_seconds=seconds).allowed


def reset() -> None:
    """Forget the chosen store; for tests and after a fork."""
    global _limiter  # noqa: PLW0603  # one limiter a process
    _limiter = Limiter()


# Neither a SQLite connection nor a Redis socket may be carried over a fork.
os.register_at_fork(after_in_child=reset)
