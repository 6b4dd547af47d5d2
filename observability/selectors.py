"""What the rows of other apps say about the platform itself."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Max
from django.utils import timezone

from core.models import Process

_LATELY: Final = timedelta(seconds=30)
_SUMMED: Final = (
    "open",
    "opened",
    "refused",
    "frames",
    "metrics_replaced",
    "slow_closes",
    "replays",
    "queue_depth",
)


def failing_loops() -> list[str]:
    """Return the loops that fail in the daemons that reported lately."""
    lately = timezone.now() - _LATELY
    details = Process.objects.filter(kind=Process.Kind.DAEMON, beat_at__gte=lately)
    return sorted({name for row in details for name in row.detail.get("failing", {})})


def silence_of(kind: Process.Kind) -> timedelta | None:
    """Return for how long no process of a kind has reported; None if there is none at all."""
    latest = Process.objects.filter(kind=kind).aggregate(latest=Max("beat_at"))["latest"]
    return None if latest is None else timezone.now() - latest


@dataclass(frozen=True, slots=True)
class SocketStatistics:
    """Connections of the live feed: of all web processes together, and of each."""

    total: dict[str, Any]
    processes: list[dict[str, Any]]


def socket_statistics() -> SocketStatistics:
    """Return what the web processes that reported lately say about their connections."""
    rows = Process.objects.filter(
        kind=Process.Kind.WEB, beat_at__gte=timezone.now() - _LATELY
    ).order_by("host", "pid")
    told = [(row, row.detail["sockets"]) for row in rows if "sockets" in row.detail]
    total: dict[str, Any] = {name: sum(said[name] for _, said in told) for name in _SUMMED}
    for name in ("roles", "closed"):
        total[name] = dict(sum((Counter(said[name]) for _, said in told), Counter()))
    return SocketStatistics(
        total,
        [
            {"host": row.host, "pid": row.pid, "reported_at": row.beat_at, **said}
            for row, said in told
        ],
    )
