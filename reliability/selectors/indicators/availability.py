"""Availability: the share of the time in which a service was up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reliability.selectors.indicators import watched
from reliability.selectors.indicators.base import Counts, Indicator, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from reliability.models import SLO


def _read(slos: Sequence[SLO], start: datetime, end: datetime) -> dict[int, Reading]:
    found = watched.of_objectives(slos, start, end, wanted=watched.asked)
    return {
        key: Reading(one.timeline, one.bad_probes, interval_seconds=one.interval_seconds)
        for key, one in found.items()
    }


AVAILABILITY = Indicator(
    title="Availability",
    about="The share of the time in which the service was up, slow or not.",
    counts=Counts.TIME,
    read=_read,
)
