"""How something stood over a window of time, and in each of its buckets.

Times are whole microseconds since 1970: sums stay exact, and no second is counted twice or lost.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

COVERED: Final = 0.9
"""With less of the time known than this, nobody can say how available something was."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Stood(enum.IntEnum):
    """What a moment counts as; of several checks the least value is what their service says."""

    DOWN = 0
    DEGRADED = 1
    UNKNOWN = 2
    UP = 3
    MAINTENANCE = 4
    """Announced work: whatever happens meanwhile is no outage."""
    PAUSED = 5
    """Switched off: nobody wanted to know."""
    ABSENT = 6
    """Before there was a check."""


_HOPE: Final = (Stood.DOWN, Stood.UNKNOWN, Stood.DEGRADED, Stood.UP)
"""From what says most for an outage to what says least."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time that counts as one thing; the end does not belong to it."""

    stood: Stood
    start: int
    end: int


@dataclass(slots=True)
class Shares:
    """How much of some time counts as what, in microseconds."""

    down: int = 0
    degraded: int = 0
    unknown: int = 0
    up: int = 0
    maintenance: int = 0
    paused: int = 0
    absent: int = 0

    @property
    def known(self) -> int:
        """The time in which somebody knew."""
        return self.up + self.degraded + self.down

    @property
    def availability(self) -> float | None:
        """The share of the known time that was up, slow or not; None if nothing is known."""
        return (self.up + self.degraded) / self.known if self.known else None

    @property
    def coverage(self) -> float | None:
        """The share of the watched time that is known; None if nothing was to be watched."""
        watched = self.known + self.unknown
        return self.known / watched if watched else None

    @property
    def is_covered(self) -> bool:
        """Tell whether enough is known to speak of an availability."""
        return self.coverage is not None and self.coverage >= COVERED

    @property
    def worst(self) -> Stood:
        """The worst that happened; what is too little known to be called up is unknown."""
        if self.down:
            return Stood.DOWN
        if self.degraded:
            return Stood.DEGRADED
        if self.coverage is not None:
            return Stood.UP if self.is_covered else Stood.UNKNOWN
        if self.maintenance:
            return Stood.MAINTENANCE
        return Stood.PAUSED if self.paused else Stood.ABSENT

    def add(self, stood: Stood, amount: int) -> None:
        """Count some more time."""
        name = stood.name.lower()
        setattr(self, name, getattr(self, name) + amount)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One of the equal parts of a window."""

    start: int
    end: int
    shares: Shares


@dataclass(frozen=True, slots=True)
class History:
    """A window, its parts, and the sums over all of it."""

    start: int
    end: int
    buckets: tuple[Bucket, ...]
    total: Shares


def micros(moment: datetime) -> int:
    """Return a moment as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    """Return microseconds since 1970 as a moment."""
    return _EPOCH + at * _MICROSECOND


def line(stretches: Iterable[Stretch], *, since: int, start: int, end: int) -> tuple[Stretch, ...]:
    """Return a check's time from `start` to `end` without holes or overlaps.

    `stretches` come in the order of their beginnings. Where two overlap, which takes a clock that
    was set back, the earlier one counts. Before `since` the check was absent; any other hole is
    unknown.
    """
    cursor = min(max(since, start), end)
    whole = [Stretch(Stood.ABSENT, start, cursor)] if cursor > start else []
    for stretch in stretches:
        begin, stop = max(stretch.start, cursor), min(stretch.end, end)
        if stop <= begin:
            continue
        if begin > cursor:
            whole.append(Stretch(Stood.UNKNOWN, cursor, begin))
        is_whole = begin == stretch.start and stop == stretch.end
        whole.append(stretch if is_whole else Stretch(stretch.stood, begin, stop))
        cursor = stop
    if cursor < end:
        whole.append(Stretch(Stood.UNKNOWN, cursor, end))
    return tuple(whole)


def worst_of(lines: Sequence[Sequence[Stretch]]) -> tuple[Stretch, ...]:
    """Lay lines of one window over each other; at each moment the worst counts."""
    return _laid(lines, min)


def _best(held: Collection[Stood]) -> Stood:
    watched = [_HOPE.index(stood) for stood in held if stood in _HOPE]
    return _HOPE[max(watched)] if watched else min(held)


def _announced(held: Collection[Stood]) -> Stood:
    """Of a moment of a line and of the maintenance laid over it; what is no maintenance is absent.

    A check that did not exist yet needed no maintenance either.
    """
    worst = min(held)
    if Stood.MAINTENANCE in held:
        return Stood.ABSENT if Stood.ABSENT in held else Stood.MAINTENANCE
    return worst


def _laid(
    lines: Sequence[Sequence[Stretch]], choose: Callable[[Collection[Stood]], Stood]
) -> tuple[Stretch, ...]:
    """Lay lines of one window over each other; `choose` says what a moment counts as."""
    if len(lines) <= 1:
        return tuple(lines[0]) if lines else ()
    turns = sorted(
        turn
        for whole in lines
        for stretch in whole
        for turn in ((stretch.start, 1, stretch.stood), (stretch.end, -1, stretch.stood))
    )
    held: Counter[Stood] = Counter()
    merged: list[Stretch] = []
    cursor = turns[0][0]
    for at, change, stood in turns:
        if at > cursor:
            chosen = choose([kind for kind, count in held.items() if count])
            if merged and merged[-1].stood is chosen:
                merged[-1] = Stretch(chosen, merged[-1].start, at)
            else:
                merged.append(Stretch(chosen, cursor, at))
            cursor = at
        held[stood] += change
    return tuple(merged)


def best_of(lines: Sequence[Sequence[Stretch]]) -> tuple[Stretch, ...]:
    """Lay lines of one window over each other; down is only what was down in all of them.

    A line that was not watched has no say; one that nobody knows may have been up.
    """
    return _laid(lines, _best)


def with_maintenance(
    whole: Sequence[Stretch], intervals: Sequence[tuple[int, int]]
) -> tuple[Stretch, ...]:
    """Return a line in which announced work is left out; `intervals` are merged and in order."""
    if not intervals or not whole:
        return tuple(whole)
    start, end = whole[0].start, whole[-1].end
    cursor, other = start, []
    for begins, ends in intervals:
        begin, stop = max(begins, cursor), min(ends, end)
        if stop <= begin:
            continue
        if begin > cursor:
            other.append(Stretch(Stood.ABSENT, cursor, begin))
        other.append(Stretch(Stood.MAINTENANCE, begin, stop))
        cursor = stop
    if cursor < end:
        other.append(Stretch(Stood.ABSENT, cursor, end))
    return _laid([whole, other], _announced)


def without_beginning(whole: Sequence[Stretch], *, was_known: bool) -> tuple[Stretch, ...]:
    """Return a line in which the time before the first answer is no history.

    It is what follows the moment a check was made, or all of a check that never had an answer.
    """
    cut = []
    has_begun = was_known and bool(whole) and whole[0].stood is not Stood.ABSENT
    for stretch in whole:
        has_begun = has_begun or stretch.stood not in {Stood.ABSENT, Stood.UNKNOWN}
        cut.append(stretch if has_begun else Stretch(Stood.ABSENT, stretch.start, stretch.end))
    return tuple(cut)


def clip(whole: Iterable[Stretch], start: int) -> tuple[Stretch, ...]:
    """Return the part of a line from a later beginning on."""
    return tuple(
        Stretch(stretch.stood, max(stretch.start, start), stretch.end)
        for stretch in whole
        if stretch.end > start
    )


def history(whole: Sequence[Stretch], *, start: int, end: int, buckets: int) -> History:
    """Cut a line that covers the window into equal buckets and sum up what each holds."""
    edges = [start + (end - start) * number // buckets for number in range(buckets + 1)]
    shares = [Shares() for _ in range(buckets)]
    total = Shares()
    number = 0
    for stretch in whole:
        total.add(stretch.stood, stretch.end - stretch.start)
        begin = stretch.start
        while begin < stretch.end:
            while edges[number + 1] <= begin:
                number += 1
            stop = min(stretch.end, edges[number + 1])
            shares[number].add(stretch.stood, stop - begin)
            begin = stop
    parts = zip(edges, edges[1:], shares, strict=False)
    return History(start, end, tuple(Bucket(*part) for part in parts), total)
