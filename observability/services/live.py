"""The figures that the console watches live; taken while somebody looks, and kept nowhere."""

from __future__ import annotations

from typing import Any

from reliability.selectors import latency, overview


def sample_overview() -> dict[str, Any]:
    """Return how many services are in which state, the open incidents and the latency now."""
    return {
        "services": overview.counts(),
        "open_incidents": overview.open_count(),
        "p95_ms": latency.p95_now(),
    }
