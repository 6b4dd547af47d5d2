"""How much of an error budget is spent: sums over a line of time, and what they mean.

Amounts of time are whole microseconds, so that sums stay exact; shares are floats.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reliability.engine.history import COVERED, Stood

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reliability.engine.history import Stretch

GATE: Final = 0.2
"""With less of the budget left than this, releases wait."""
_HALF: Final = 0.5
_HYSTERESIS: Final = 0.02


class Unknown(enum.StrEnum):
    """What time counts as of which nobody knows anything."""

    IGNORE = "ignore"
    BAD = "bad"
    GOOD = "good"


class State(enum.StrEnum):
    """How an objective stands."""

    OK = "ok"
    WATCH = "watch"
    AT_RISK = "at_risk"
    EXHAUSTED = "exhausted"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True, slots=True)
class Amounts:
    """What the time between two moments counts as, in microseconds."""

    good: int = 0
    bad: int = 0
    unknown: int = 0
    off: int = 0
    """Switched off, or in maintenance: it neither spends nor earns."""
    absent: int = 0
    """Before anybody knew anything: no history."""

    @property
    def known(self) -> int:
        """The time in which somebody knew."""
        return self.good + self.bad

    @property
    def coverage(self) -> float | None:
        """The share of the watched time that is known; None if nothing was to be watched."""
        watched = self.known + self.unknown
        return self.known / watched if watched else None

    def judged(self, unknown: Unknown) -> tuple[int, int]:
        """Return the good and the bad time, with the unknown counted as was agreed."""
        good = self.good + (self.unknown if unknown is Unknown.GOOD else 0)
        bad = self.bad + (self.unknown if unknown is Unknown.BAD else 0)
        return good, bad


_KINDS: Final = {
    Stood.DOWN: 1,
    Stood.DEGRADED: 0,
    Stood.UNKNOWN: 2,
    Stood.UP: 0,
    Stood.MAINTENANCE: 3,
    Stood.PAUSED: 3,
    Stood.ABSENT: 4,
}


class Timeline:
    """A line of time with running sums: what lies between two moments costs two look-ups."""

    __slots__ = ("_edges", "_kinds", "_sums", "line")

    def __init__(self, line: Sequence[Stretch]) -> None:
        self.line = line
        self._edges = [stretch.start for stretch in line]
        self._kinds = [_KINDS[stretch.stood] for stretch in line]
        sums = [(0, 0, 0, 0, 0)]
        running = [0, 0, 0, 0, 0]
        for stretch, kind in zip(line, self._kinds, strict=True):
            running[kind] += stretch.end - stretch.start
            sums.append((running[0], running[1], running[2], running[3], running[4]))
        self._sums = sums

    @property
    def start(self) -> int:
        """Where the line begins."""
        return self._edges[0] if self._edges else 0

    @property
    def end(self) -> int:
        """Where the line ends."""
        return self.line[-1].end if self.line else 0

    def between(self, start: int, end: int) -> Amounts:
        """Return what the time from `start` to `end` counts as; outside the line is no history."""
        first, last = max(start, self.start), min(end, self.end)
        if last <= first:
            return Amounts(absent=max(end - start, 0))
        before, after = self._until(first), self._until(last)
        good, bad, unknown, off, absent = (
            new - old for old, new in zip(before, after, strict=True)
        )
        outside = (end - start) - (last - first)
        return Amounts(good, bad, unknown, off, absent + outside)

    def turns(self, start: int, end: int) -> list[int]:
        """Return the moments between two at which what counts may change."""
        return [edge for edge in self._edges if start < edge < end]

    def _until(self, at: int) -> list[int]:
        number = bisect_right(self._edges, at) - 1
        sums = list(self._sums[number])
        stretch = self.line[number]
        sums[self._kinds[number]] += min(at, stretch.end) - stretch.start
        return sums


@dataclass(frozen=True, slots=True)
class Budget:
    """What an objective allowed over a window, and what of it is left.

    `allowed`, `bad` and `total` are amounts of one kind: microseconds, or events.
    """

    sli: float | None
    coverage: float | None
    allowed: float
    bad: float
    total: float
    remaining_share: float | None
    is_sufficient: bool


def budget(
    *,
    objective: float,
    window: int,
    amounts: Amounts,
    unknown: Unknown = Unknown.IGNORE,
    events: tuple[float, float] | None = None,
) -> Budget:
    """Return where an objective stands after `amounts` of a window of `window` microseconds.

    `events` are good and bad ones where events count and not time. The time before the first
    answer, and what of a calendar month is still to come, stays in the window: the budget is that
    of the whole window, or one bad minute would spend that of a service which is an hour old.
    Events go on at their rate so far.
    """
    coverage = amounts.coverage
    time_good, time_bad = amounts.judged(unknown)
    known = time_good + time_bad
    ignored = amounts.unknown if unknown is Unknown.IGNORE else 0
    lasting = max(window - amounts.off - ignored, 0)
    good, bad = events if events is not None else (time_good, time_bad)
    total = good + bad
    if events is None:
        allowed = (1 - objective) * lasting
    else:
        allowed = (1 - objective) * total * (max(lasting / known, 1.0) if known else 1.0)
    is_known = unknown is Unknown.BAD or (coverage is not None and coverage >= COVERED)
    is_sufficient = bool(total) and allowed > 0 and is_known
    return Budget(
        sli=good / total if total else None,
        coverage=coverage,
        allowed=allowed,
        bad=bad,
        total=total,
        remaining_share=(allowed - bad) / allowed if total and allowed > 0 else None,
        is_sufficient=is_sufficient,
    )


_FLOORS: Final = ((State.OK, _HALF), (State.WATCH, GATE), (State.AT_RISK, 0.0))


def state_of(found: Budget, before: State | None = None) -> State:
    """Return how an objective stands; on its way up a border counts two points higher.

    `before` is how it stood last.
    """
    if not found.is_sufficient or found.remaining_share is None:
        return State.INSUFFICIENT
    order = [State.OK, State.WATCH, State.AT_RISK, State.EXHAUSTED]
    worse_than = order.index(before) if before in order else 0
    for number, (state, floor) in enumerate(_FLOORS):
        needed = floor + _HYSTERESIS if number < worse_than else floor
        if found.remaining_share > needed:
            return state
    return State.EXHAUSTED
