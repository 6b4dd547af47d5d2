"""What an indicator is: a way to say how much of some time, or of some events, was good."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from reliability.engine.slo import Timeline
    from reliability.models import SLO


class Counts(enum.StrEnum):
    """What an indicator adds up."""

    TIME = "time"
    EVENTS = "events"


class Events(Protocol):
    """Good and bad events of some time."""

    def between(self, start: datetime, end: datetime) -> tuple[int, int]:
        """Return how many were good, and how many bad."""


class BadProbes(Protocol):
    """How often time was found bad; a single lost packet wakes nobody."""

    def __call__(self, start: datetime, end: datetime) -> Sequence[int]:
        """Return the number of bad probes of each minute that has some."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an indicator reads of one objective: a line of time, and events where they count."""

    timeline: Timeline
    bad_probes: BadProbes
    events: Events | None = None
    interval_seconds: float | None = None
    """The longest time from one probe to the next; None where nothing probes."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """One kind of objective; `read` returns a reading for each of the objectives it is given."""

    title: str
    about: str
    counts: Counts
    read: Callable[[Sequence[SLO], datetime, datetime], Mapping[int, Reading]]
    needs_threshold: bool = False
