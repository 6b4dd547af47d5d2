"""How fast an error budget burns, and when that is worth a message.

A burn rate of 1 spends exactly the budget of a window within that window. An alert needs a long
window, so that it matters, and a short one, so that it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOWS: Final[dict[str, timedelta]] = {
    "5m": timedelta(minutes=5),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "2h": timedelta(hours=2),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "3d": timedelta(days=3),
}
LEAST_COVERAGE: Final = 0.5
LEAST_BAD_PROBES: Final = 3
LEAST_BAD_MINUTES: Final = 2
LEAST_BAD_EVENTS: Final = 10
LEAST_EVENTS: Final = 100


@dataclass(frozen=True, slots=True)
class Pair:
    """A long and a short window, and the share of the budget that the long one may spend."""

    long: str
    short: str
    share: float
    is_fast: bool

    @property
    def name(self) -> str:
        """How people call it."""
        return f"{self.long}/{self.short}"

    def threshold(self, window: timedelta) -> float:
        """Return the burn rate at which it fires; what fits the objective never does."""
        return max(self.share * (window / WINDOWS[self.long]), 1.0)

    def fits(self, window: timedelta) -> bool:
        """Tell whether the long window is part of the objective's own."""
        return WINDOWS[self.long] <= window


PAIRS: Final = (
    Pair("1h", "5m", 0.02, is_fast=True),
    Pair("6h", "30m", 0.05, is_fast=True),
    Pair("1d", "2h", 0.10, is_fast=False),
    Pair("3d", "6h", 0.10, is_fast=False),
)


@dataclass(frozen=True, slots=True)
class Burn:
    """What happened within one window."""

    good: float
    bad: float
    coverage: float | None
    is_whole: bool
    """Whether there is history for all of it."""

    def rate(self, objective: float) -> float | None:
        """Return the bad share over the allowed one; None if nothing is known."""
        return rate(self.good, self.bad, objective)


def rate(good: float, bad: float, objective: float) -> float | None:
    """Return the bad share over the allowed one; None without anything that counts."""
    total = good + bad
    return (bad / total) / (1 - objective) if total else None


def exceeds(pair: Pair, *, long: Burn, short: Burn, objective: float, window: timedelta) -> bool:
    """Tell whether a pair would fire if enough was bad to be believed."""
    threshold = pair.threshold(window)
    return (
        pair.fits(window)
        and long.is_whole
        and (long.coverage or 0.0) >= LEAST_COVERAGE
        and (long.rate(objective) or 0.0) >= threshold
        and (short.rate(objective) or 0.0) >= threshold
    )


def is_believed(bad_by_minute: Iterable[int]) -> bool:
    """Tell whether there were enough bad probes, in more than one minute, to wake somebody."""
    counts = [count for count in bad_by_minute if count]
    return sum(counts) >= LEAST_BAD_PROBES and len(counts) >= LEAST_BAD_MINUTES


def are_events_believed(*, good: float, bad: float) -> bool:
    """Tell whether there were enough events, and enough bad ones, to wake somebody."""
    return bad >= LEAST_BAD_EVENTS and good + bad >= LEAST_EVENTS


def needed_probes(
    pair: Pair, *, objective: float, window: timedelta, interval_seconds: float
) -> float:
    """Return how many bad probes of a check bring the long window to the threshold."""
    share = pair.threshold(window) * (1 - objective)
    return share * (WINDOWS[pair.long].total_seconds() / interval_seconds)


def is_too_coarse(*, objective: float, window: timedelta, interval_seconds: float) -> bool:
    """Tell whether fewer bad probes than anybody believes would reach the first threshold."""
    return (
        needed_probes(
            PAIRS[0], objective=objective, window=window, interval_seconds=interval_seconds
        )
        < LEAST_BAD_PROBES
    )


def exhausted_after(
    *, remaining_share: float | None, hourly_rate: float | None, window: timedelta
) -> timedelta | None:
    """Return after how long nothing is left at the rate of the last hour.

    None if nothing burns, if nothing is left, or if a rolling window forgets faster than it burns.
    """
    if not hourly_rate or remaining_share is None or remaining_share <= 0:
        return None
    share = remaining_share / hourly_rate
    return window * share if share <= 1 else None
