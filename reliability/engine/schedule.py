"""When each check is due: a heap on the monotonic clock."""

import hashlib
import heapq
import math
from dataclasses import dataclass, field

_HASH_RANGE = 2**64


def phase(key: int) -> float:
    """Return the place of a check within its interval, from 0 to 1, the same on every machine.

    Phases spread the load evenly; no start-up delay per check is needed.
    """
    digest = hashlib.blake2b(str(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / _HASH_RANGE


def next_turn(key: int, interval_seconds: float, *, after: float) -> float:
    """Return the check's first regular moment after a time of day in seconds."""
    offset = phase(key) * interval_seconds
    turns = math.floor((after - offset) / interval_seconds) + 1
    return offset + turns * interval_seconds


@dataclass(slots=True)
class Schedule:
    """Due moments by check; a later entry for the same check replaces the earlier one."""

    _heap: list[tuple[float, int]] = field(default_factory=list)
    _due: dict[int, float] = field(default_factory=dict)

    def put(self, key: int, due: float) -> None:
        """Plan a check for a moment."""
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))

    def drop(self, key: int) -> None:
        """Forget a check."""
        self._due.pop(key, None)

    def next_due(self) -> float | None:
        """Return the earliest moment at which something is due."""
        while self._heap:
            due, key = self._heap[0]
            if self._due.get(key) == due:
                return due
            heapq.heappop(self._heap)
        return None

    def pop(self, now: float) -> int | None:
        """Take the check that has been due for longest, if one is due."""
        due = self.next_due()
        if due is None or due > now:
            return None
        _, key = heapq.heappop(self._heap)
        del self._due[key]
        return key
