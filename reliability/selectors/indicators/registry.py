"""The one table of indicators: what an objective may be about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reliability.selectors.indicators.availability import AVAILABILITY
from reliability.selectors.indicators.heartbeats import HEARTBEATS
from reliability.selectors.indicators.probes import LATENCY, PROBES

if TYPE_CHECKING:
    from reliability.selectors.indicators.base import Indicator

INDICATORS: Final[dict[str, Indicator]] = {
    "availability": AVAILABILITY,
    "probes": PROBES,
    "latency": LATENCY,
    "heartbeats": HEARTBEATS,
}
"""By the key that stands in `SLO.indicator`."""
