"""Whether budgets burn, and what people are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

from reliability.engine import burn_rate
from reliability.engine.burn_rate import WINDOWS, Burn
from reliability.engine.history import micros, moment
from reliability.engine.slo import GATE
from reliability.models import SLO
from reliability.selectors import objectives
from reliability.selectors.bars import percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from reliability.engine.burn_rate import Pair
    from reliability.selectors.indicators.base import Reading
    from reliability.selectors.objectives import Standing

_LOOKS: int = 10
"""How often events are looked at within a short window; lines of time are looked at exactly."""
_MINUTE: int = 60_000_000
_WORDS = {
    "5m": "5 minutes",
    "30m": "30 minutes",
    "1h": "hour",
    "2h": "2 hours",
    "6h": "6 hours",
    "1d": "day",
    "3d": "3 days",
}


@dataclass(frozen=True, slots=True)
class Fired:
    """A pair of windows that fires, and what happened in both."""

    pair: Pair
    long: Burn
    short: Burn
    threshold: float


def firing(slo: SLO, reading: Reading, pairs: Sequence[Pair], *, at: datetime) -> Fired | None:
    """Return the first pair that fires; None if none does or too little was bad to believe it."""
    window = _window(slo, at)
    for pair in pairs:
        long = objectives.burn_of(slo, reading, at - WINDOWS[pair.long], at)
        if not long.bad:
            continue
        short = objectives.burn_of(slo, reading, at - WINDOWS[pair.short], at)
        is_burning = burn_rate.exceeds(
            pair, long=long, short=short, objective=slo.objective, window=window
        )
        if is_burning and _is_believed(slo, reading, pair, long, at):
            return Fired(pair, long, short, pair.threshold(window))
    return None


def held_back(slo: SLO, reading: Reading, pair: Pair, *, at: datetime) -> str:
    """Return why a pair whose rates are too high does not fire; empty if it does."""
    long = objectives.burn_of(slo, reading, at - WINDOWS[pair.long], at)
    if not long.is_whole:
        return f"no history for all of the last {_WORDS[pair.long]}"
    if (long.coverage or 0.0) < burn_rate.LEAST_COVERAGE:
        return f"less than half of the last {_WORDS[pair.long]} is known"
    if _is_believed(slo, reading, pair, long, at):
        return ""
    if reading.events is not None:
        return (
            f"fewer than {burn_rate.LEAST_BAD_EVENTS} bad of {burn_rate.LEAST_EVENTS} answers "
            f"within the last {_WORDS[pair.long]}"
        )
    return (
        f"fewer than {burn_rate.LEAST_BAD_PROBES} bad probes in "
        f"{burn_rate.LEAST_BAD_MINUTES} different minutes"
    )


def is_over(slo: SLO, reading: Reading, pairs: Sequence[Pair], *, at: datetime) -> bool:
    """Tell whether every pair's short window stayed below its threshold for its whole length.

    While nobody knows anything it is not over; where nothing is watched any more it is.
    """
    window = _window(slo, at)
    for pair in pairs:
        short = WINDOWS[pair.short]
        threshold = pair.threshold(window)
        for end in _moments(reading, at, short):
            burn = objectives.burn_of(slo, reading, end - short, end)
            rate = burn.rate(slo.objective)
            if rate is None and burn.coverage is None:
                continue
            if rate is None or rate >= threshold:
                return False
    return True


def detail(slo: SLO, fired: Fired) -> str:
    """Return in words how fast a budget burns, and what the team agreed to do."""
    long, short = _rate(fired.long, slo), _rate(fired.short, slo)
    text = (
        f"In the last {_WORDS[fired.pair.long]} it burned {long:.1f} times as fast as it may, in "
        f"the last {_WORDS[fired.pair.short]} {short:.1f} times; "
        f"{fired.threshold:.1f} times raises this alert."
    )
    return f"{text} {slo.policy}" if slo.policy else text


def budget_detail(found: Standing) -> str:
    """Return in words how little of a budget is left, and what follows."""
    return (
        f"{percent(found.sli)} was good, the objective is "
        f"{objectives.target(found.slo.objective)}. {found.consequence}"
    )


def left(found: Standing) -> str:
    """Return what is left of a budget as whole percent, cut down; spent is none."""
    return f"{max(floor((found.remaining_share or 0) * 100), 0)} %"


def is_low(found: Standing) -> bool:
    """Tell whether less than a fifth of a budget is left."""
    return found.is_sufficient and (found.remaining_share or 0) < GATE


def _rate(burn: Burn, slo: SLO) -> float:
    return burn.rate(slo.objective) or 0.0


def _window(slo: SLO, at: datetime) -> timedelta:
    start, end = objectives.window_of(slo, at)
    return end - start


def _is_believed(slo: SLO, reading: Reading, pair: Pair, long: Burn, at: datetime) -> bool:
    if reading.events is not None:
        return burn_rate.are_events_believed(good=long.good, bad=long.bad)
    start = at - WINDOWS[pair.long]
    bad = list(reading.bad_probes(start, at))
    if slo.unknown_policy == SLO.Unknown.BAD:
        # Nobody asks while nobody knows: each whole minute of that counts as one bad probe.
        unknown = reading.timeline.between(micros(start), micros(at)).unknown
        bad += [1] * (unknown // _MINUTE)
    return burn_rate.is_believed(bad)


def _moments(reading: Reading, at: datetime, short: timedelta) -> Iterable[datetime]:
    """Return the moments at which a short window has to be looked at.

    Between two turns of a line the rate runs straight up or down, so its turns and its ends are
    all one has to look at; a turn leaves the window when it is as old as that.
    """
    start = at - short
    if reading.events is not None:
        return [start + (at - start) * number / _LOOKS for number in range(_LOOKS + 1)]
    first, last = micros(start), micros(at)
    turns = reading.timeline.turns(first, last)
    leave = [turn + last - first for turn in reading.timeline.turns(2 * first - last, first)]
    return [start, at, *(moment(turn) for turn in {*turns, *leave})]
