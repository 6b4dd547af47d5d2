"""A polled feed of changes: what one process commits, every process knows within a second.

The table is the truth and is polled; Redis, where there is one, only wakes the poll. So a message
that was lost, or a process that died between its commit and its message, costs half a second.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone

from core.errors import UnavailableError
from core.feed_stream import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.backends.base.base import BaseDatabaseWrapper

Row = tuple[int, str, str]
"""Sequence number, kind, value."""

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.5
FRESH_SECONDS: Final = 1.0
FAIL_SECONDS: Final = 5.0
RELOAD_SECONDS: Final = 30.0
OVERLAP_SECONDS: Final = 60
# A row is kept by every process for so long after its end: machines' clocks differ.
_GRACE: Final = timedelta(minutes=10)
_RETRY_SECONDS: Final = 0.25
_WAIT_SECONDS: Final = 1.0
# What a fork has inherited must be neither used nor closed: it belongs to the parent.
_inherited: Final[list[object]] = []


class Follower(Protocol):
    """Whoever keeps in memory what the feed tells."""

    def restore(self, rows: Sequence[Row]) -> None:
        """Begin anew with all rows that are alive."""

    def apply(self, rows: Sequence[Row]) -> None:
        """Take new rows over; some may come twice."""


class Feed:
    """Follows one table with the columns seq, kind, value, created_at and not_after.

    All times are of the monotonic clock; a clock that is set back or ahead changes nothing.
    """

    def __init__(self, *, name: str, table: str, follower: Follower) -> None:
        self.name = name
        self._table = table
        self._follower = follower
        self._begin()
        os.register_at_fork(after_in_child=self._after_fork)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._connection: BaseDatabaseWrapper | None = None
        self._synced_at = float("-inf")
        self._loaded_at = float("-inf")
        self._failed_at = float("-inf")
        self._version = -1
        self._last = 0
        self._seen: set[int] = set()
        self._open_since: datetime | None = None
        # What this process applied by itself, lest a reload that began earlier forgets it again.
        self._own: deque[tuple[float, Row]] = deque(maxlen=1_000)
        self._stream = Stream(f"feed:{self.name}")

    def _after_fork(self) -> None:
        _inherited.append((self._connection, self._stream))
        self._begin()

    def fresh(self, *, reading: bool = False) -> None:
        """Make sure that what is in memory is at most a second old; else catch up here and now.

        Raises UnavailableError when nothing could be read for five seconds. With
        OPS_AUTH_STALE_READS, requests that only read go on with what is known.
        """
        if time.monotonic() - self._synced_at > FRESH_SECONDS:
            self._catch_up(reading=reading)

    def start(self) -> None:
        """Follow from now on, not only once somebody asks."""
        if self._thread is not None or not settings.FEED_POLLS:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"feed-{self.name}", daemon=True
                )
                self._thread.start()

    def tell(self, row: Row) -> None:
        """Apply a row that this process has committed, and wake the others."""
        self._own.append((time.monotonic(), row))
        self._follower.apply([row])
        self._stream.ring(row[0])

    def close(self) -> None:
        """End the thread and give the connection back; the next check begins anew."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5)
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._stream.close()
        self._begin()

    # Catching up

    def _catch_up(self, *, reading: bool) -> None:
        self.start()
        # One at a time: the others wait a moment, and mostly need no look of their own afterwards.
        if self._lock.acquire(timeout=_WAIT_SECONDS):
            try:
                now = time.monotonic()
                if now - self._synced_at <= FRESH_SECONDS:
                    return
                if now - self._failed_at > _RETRY_SECONDS:
                    self._sync()
            finally:
                self._lock.release()
        age = time.monotonic() - self._synced_at
        if age <= FAIL_SECONDS:
            return
        if reading and settings.OPS_AUTH_STALE_READS and self._synced_at > float("-inf"):
            return
        message = (
            "The platform cannot find out just now who may still do what, so it refuses. "
            "Try again in some seconds."
        )
        raise UnavailableError(message)

    def _sync(self) -> bool:
        """Read what is new; return whether that worked. The lock is held."""
        began = time.monotonic()
        try:
            if began - self._loaded_at > RELOAD_SECONDS:
                self._reload(began)
            else:
                self._read_on()
        except Exception as error:  # noqa: BLE001  # the driver, the network, the disk
            if self._failed_at <= self._synced_at:
                logger.warning("The feed %s cannot be read (%s).", self.name, type(error).__name__)
            self._failed_at = time.monotonic()
            self._forget_connection()
            return False
        # What was committed before the look began is known now.
        self._synced_at = began
        return True

    def _reload(self, began: float) -> None:
        connection = self._connected()
        version = self._data_version(connection)
        self._open_since = _open_since(connection)
        with connection.cursor() as cursor:
            # First the end, then the rows: what comes between is read twice, and never left out.
            cursor.execute(f"SELECT coalesce(max(seq), 0) FROM {self._table}")  # noqa: S608  # a name of ours
            last = cursor.fetchone()[0]
            alive = connection.ops.adapt_datetimefield_value(timezone.now() - _GRACE)
            cursor.execute(
                f"SELECT seq, kind, value FROM {self._table} WHERE not_after > %s",  # noqa: S608  # a name of ours
                [alive],
            )
            rows: list[Row] = cursor.fetchall()
        self._follower.restore(rows)
        own = [row for at, row in [*self._own] if began - at < OVERLAP_SECONDS]
        if own:
            self._follower.apply(own)
        self._last = last
        self._seen = {row[0] for row in rows if row[0] > last - 10_000}
        self._version = version
        self._loaded_at = began

    def _read_on(self) -> None:
        connection = self._connected()
        version = self._data_version(connection)
        if version >= 0 and version == self._version:
            return
        query = f"SELECT seq, kind, value FROM {self._table} WHERE seq > %s"  # noqa: S608  # a name of ours
        told: list[int | datetime] = [self._last]
        if self._open_since is not None:
            # Sequence values are given before the commit, so a lower one may come later: from any
            # transaction that was open at the look before, and that bears the time of its begin.
            query += " OR created_at >= %s"
            told.append(self._open_since)
        since = _open_since(connection)
        with connection.cursor() as cursor:
            cursor.execute(query, told)
            rows: list[Row] = [row for row in cursor.fetchall() if row[0] not in self._seen]
        if rows:
            self._follower.apply(rows)
            self._seen.update(row[0] for row in rows)
            self._last = max(self._last, *(row[0] for row in rows))
        self._version = version
        self._open_since = since

    def _connected(self) -> BaseDatabaseWrapper:
        # A connection of its own: data_version does not move for one's own writes, and a request
        # may hold a transaction open that sees what is not committed.
        if self._connection is None:
            connection = connections.create_connection(DEFAULT_DB_ALIAS)
            connection.inc_thread_sharing()
            self._connection = connection
        self._connection.ensure_connection()
        return self._connection

    def _forget_connection(self) -> None:
        connection, self._connection, self._version = self._connection, None, -1
        if connection is not None:
            try:
                connection.close()
            except Exception as error:  # it is broken already
                logger.debug("A broken connection did not close.", exc_info=error)

    @staticmethod
    def _data_version(connection: BaseDatabaseWrapper) -> int:
        """Return what another connection's commit changes, or -1 where nothing tells it."""
        if connection.vendor != "sqlite":
            return -1
        return int(connection.connection.execute("PRAGMA data_version").fetchone()[0])

    # The thread

    def _run(self) -> None:
        stop = self._stop
        pid = os.getpid()
        while not stop.is_set() and os.getpid() == pid:
            if not self._woken():
                stop.wait(POLL_SECONDS)
            if stop.is_set():
                return
            with self._lock:
                self._sync()

    def _woken(self) -> bool:
        try:
            return self._stream.wait()
        except Exception as error:  # whatever the client raises, the polls must go on
            logger.warning("The feed %s is not woken.", self.name, exc_info=error)
            return False


def _open_since(connection: BaseDatabaseWrapper) -> datetime | None:
    """Return when the oldest transaction began that may still commit rows of the feed.

    None where there is one writer at a time. A minute is added for what begins right now.
    """
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT least(min(xact_start), now() - %s * interval '1 second')"
            " FROM pg_stat_activity WHERE datname = current_database()",
            [OVERLAP_SECONDS],
        )
        found: datetime = cursor.fetchone()[0]
        return found
