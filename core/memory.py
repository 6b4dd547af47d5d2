"""What a process remembers of the database, until a change drops it or it has grown old."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Values by key, read where they are missing; made once for each module.

    What was read before a change is never kept after it. Nor is what was read inside a
    transaction: that may be undone, and nobody would tell. A forked process begins with nothing.
    """

    def __init__(self, *, most: int = 1, seconds: float = float("inf")) -> None:
        self._most = most
        self._seconds = seconds
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        # Another thread of the parent may have held the lock at the fork.
        self._lock = threading.Lock()
        self._known: dict[K, V] = {}
        self._until = float("inf")
        self._turn = 0

    def of(self, key: K, read: Callable[[], V]) -> V:
        """Return what is remembered of a key, or what reading it finds; None is not kept."""
        found = self._known.get(key)
        if found is not None and time.monotonic() < self._until:
            return found
        # A change that comes in meanwhile makes what is read unfit to be kept.
        turn = self._turn
        value = read()
        if value is not None and not _may_be_undone():
            self._keep(key, value, turn)
        return value

    def forget(self, key: K) -> None:
        """Read this one anew at the next question."""
        with self._lock:
            self._turn += 1
            self._known.pop(key, None)

    def forget_all(self) -> None:
        """Read everything anew."""
        with self._lock:
            self._turn += 1
            self._known.clear()

    def _keep(self, key: K, value: V, turn: int) -> None:
        with self._lock:
            if turn != self._turn:
                return
            now = time.monotonic()
            if now >= self._until or len(self._known) >= self._most:
                self._known.clear()
            if not self._known:
                self._until = now + self._seconds
            self._known[key] = value


def _may_be_undone() -> bool:
    """Tell whether a transaction is open; what tests wrap around themselves does not count."""
    # The same that Django's own durable blocks ask.
    return not all(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
