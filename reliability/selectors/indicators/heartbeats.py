"""Heartbeats: the share of the time in which the jobs of a service reported as they should."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reliability.selectors.indicators import watched
from reliability.selectors.indicators.base import Counts, Indicator, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from reliability.models import SLO


def _read(slos: Sequence[SLO], start: datetime, end: datetime) -> dict[int, Reading]:
    found = watched.of_objectives(slos, start, end, wanted=watched.jobs)
    return {key: Reading(one.timeline, one.bad_probes) for key, one in found.items()}


HEARTBEATS = Indicator(
    title="Heartbeats",
    about="The share of the time in which no job was late, failed or ran too long.",
    counts=Counts.TIME,
    read=_read,
)
