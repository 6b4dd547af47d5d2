"""Probes and latency: the share of the answers that were good, or good and fast enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reliability.selectors import results
from reliability.selectors.indicators import watched
from reliability.selectors.indicators.base import Counts, Indicator, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from reliability.models import SLO


@dataclass(frozen=True, slots=True)
class _Answers:
    """The answers of some checks; with a threshold, slow ones are bad."""

    check_ids: tuple[int, ...]
    threshold_ms: int | None = None

    def between(self, start: datetime, end: datetime) -> tuple[int, int]:
        """Return how many were good, and how many bad."""
        if not self.check_ids:
            return 0, 0
        found = results.counts(self.check_ids, start=start, end=end, threshold_ms=self.threshold_ms)
        bad = found.bad + found.slow
        return found.n - bad, bad


def _read(slos: Sequence[SLO], start: datetime, end: datetime) -> dict[int, Reading]:
    found = watched.of_objectives(slos, start, end, wanted=watched.only_asked)
    return {
        slo.pk: Reading(
            timeline=found[slo.pk].timeline,
            bad_probes=found[slo.pk].bad_probes,
            events=_Answers(found[slo.pk].probed, _threshold(slo)),
            interval_seconds=found[slo.pk].interval_seconds,
        )
        for slo in slos
    }


def _threshold(slo: SLO) -> int | None:
    return slo.threshold_ms if slo.indicator == "latency" else None


PROBES = Indicator(
    title="Good answers",
    about="The share of the probes that were answered as they should; each blip counts.",
    counts=Counts.EVENTS,
    read=_read,
)

LATENCY = Indicator(
    title="Fast answers",
    about="The share of the probes that were answered as they should, and within the threshold.",
    counts=Counts.EVENTS,
    read=_read,
    needs_threshold=True,
)
