"""Threads: which alerts share one, and what is to be said when it is looked at."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from notifications.engine.matching import AlertFacts

BY_ALERT: Final = ["alert"]
STORM_KEY: Final = "storm"
"""Stands where the key of common values stands, in a thread that gathers a storm."""
STORM_THREADS: Final = 20
"""More new threads of one route within a minute are told as one."""
STORM_SECONDS: Final = 60

_GRAVITY: Final = {"": -1, "info": 0, "warning": 1, "critical": 2}


class Reason(StrEnum):
    """Why people are told."""

    FIRST = "first"
    NEW_ALERTS = "new_alerts"
    UPDATE = "update"
    NEW_RESOLVED = "new_resolved"
    ALL_RESOLVED = "all_resolved"
    REPEAT = "repeat"
    STORM = "storm"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the alerts of a thread stand, compared with what people were told of them.

    `firing` counts all that hold. The others count only what nobody has been told yet: `new` holds
    since then, `news` held before and has something new to tell, `resolved` held when people were
    last told, `info` is told once.
    """

    firing: int = 0
    new: int = 0
    news: int = 0
    resolved: int = 0
    info: int = 0


def decide(standing: Standing, *, was_told: bool, is_storm: bool = False) -> Reason | None:
    """Return why people are to be told now; None if there is nothing to say."""
    if not was_told and (standing.new or standing.info) and is_storm:
        return Reason.STORM
    if standing.firing:
        if standing.new:
            return Reason.NEW_ALERTS if was_told else Reason.FIRST
        if standing.news:
            return Reason.UPDATE
        if standing.resolved:
            return Reason.NEW_RESOLVED
    elif standing.resolved:
        return Reason.ALL_RESOLVED
    if standing.info:
        return Reason.NEW_ALERTS if was_told else Reason.FIRST
    return None


def common(group_by: Sequence[str], facts: AlertFacts) -> dict[str, str]:
    """Return what the alerts of one thread have in common, by the names of `group_by`."""
    return {name: facts.value(name) for name in group_by}


def key_of(shared: dict[str, str]) -> str:
    """Return the key of a thread, by what its alerts have in common."""
    joined = "\x1f".join(f"{name}\x1e{value}" for name, value in sorted(shared.items()))
    return hashlib.sha256(joined.encode()).hexdigest()


def gravity(severity: str) -> int:
    """Return a number that rises with how grave an alert is."""
    return _GRAVITY.get(severity, -1)


def worst(severities: Iterable[str]) -> str:
    """Return the gravest of some severities; empty if there are none."""
    return max(severities, key=gravity, default="")


def lasted(seconds: float) -> str:
    """Return how long something took, in words of two units at most."""
    seconds = max(0, round(seconds))
    if seconds < 60:  # noqa: PLR2004  # seconds of a minute
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3_600, seconds // 86_400
    if not hours:
        return f"{minutes} min"
    if not days:
        rest = minutes - hours * 60
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    rest = hours - days * 24
    return f"{days} d {rest} h" if rest else f"{days} d"
