"""The page of live connections: who is connected, how fast they are told, and why some left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

from core.components import Column, Table, badge, when
from core.pagebase import page, render
from observability.selectors import socket_statistics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest, HttpResponse

    from observability.selectors import SocketStatistics

_FULL_SHARE: Final = 0.9
_SLOW_MS: Final = 1_000
_MEANINGS: Final = {
    "1000": "The client said goodbye.",
    "1001": "The page was left or the client ended.",
    "1002": "The client broke the protocol.",
    "1005": "The client left without a code.",
    "1006": "The connection broke off.",
    "1007": "The client sent what is no text.",
    "1009": "The client sent a frame over 64 KiB.",
    "1012": "The server was restarted.",
    "1013": "Full, or the database did not answer.",
    "4400": "The client sent frames that nobody understands.",
    "4401": "The session or key was over.",
    "4403": "The person may not connect: a step is due first, or the network is not allowed.",
    "4408": "Two heartbeats were not answered: a dead connection was removed.",
    "4409": "The client read too slowly; it comes back and catches up.",
    "4413": "The client sent a frame over 16 KiB.",
    "4429": "The person had ten connections open already.",
    "other": "A code that the client made up.",
}


@dataclass(frozen=True)
class _Figure:
    """One figure above the tables."""

    title: str
    value: str
    context: str
    tone: str = "info"


@page(GET="observability.view_health")
def connections(request: HttpRequest) -> HttpResponse:
    """Show what the web processes say about their connections."""
    found = socket_statistics()
    context = {
        "title": "Live connections",
        "is_enabled": settings.WS_ENABLED,
        "path": settings.WS_PATH,
        "cards": _cards(found),
        "processes": _processes(found),
        "roles": _roles(found.total["roles"]),
        "codes": _codes(found.total["closed"]),
    }
    return render(request, "observability/sockets.html", context)


def _cards(found: SocketStatistics) -> list[_Figure]:
    total, most = found.total, settings.WS_MAX_CONNECTIONS
    is_full = total["open"] >= most * _FULL_SHARE
    slowest = _slowest(found)
    return [
        _Figure(
            "Open now",
            f"{total['open']:,}",
            f"of {most:,} at most" + ("; raise WS_MAX_CONNECTIONS" if is_full else ""),
            "warn" if is_full else "ok",
        ),
        _Figure(
            "Commit to send, p95",
            _ms(slowest),
            "slowest process, last 500 entries",
            "warn" if slowest is not None and slowest > _SLOW_MS else "ok",
        ),
        _Figure(
            "Frames sent",
            f"{total['frames']:,}",
            f"{total['queue_depth']:,} wait; {total['metrics_replaced']:,} figures gave way",
        ),
        _Figure("Opened", f"{total['opened']:,}", f"{total['refused']:,} refused"),
        _Figure("Too slow", f"{total['slow_closes']:,}", "cut off; they come back"),
        _Figure("Caught up", f"{total['replays']:,}", "feeds read after a gap"),
    ]


def _slowest(found: SocketStatistics) -> float | None:
    """Return the 95th percentile of the process that is slowest to tell."""
    times = [process["commit_to_send_ms"]["p95"] for process in found.processes]
    return max((time for time in times if time is not None), default=None)


def _processes(found: SocketStatistics) -> Table:
    return Table(
        columns=[
            Column("Process"),
            Column("Open", numeric=True),
            Column("Waiting", numeric=True),
            Column("Frames sent", numeric=True, room="medium"),
            Column("Caught up", numeric=True, room="wide"),
            Column("Too slow", numeric=True, room="medium"),
            Column("p50, p95", numeric=True, room="medium"),
            Column("Said", room="wide"),
        ],
        rows=[
            [
                f"{process['host']} {process['pid']}",
                f"{process['open']:,}",
                f"{process['queue_depth']:,}",
                f"{process['frames']:,}",
                f"{process['replays']:,}",
                f"{process['slow_closes']:,}",
                ", ".join(_ms(process["commit_to_send_ms"][name]) for name in ("p50", "p95")),
                when(process["reported_at"]),
            ]
            for process in found.processes
        ],
        caption="Web processes",
        empty="No web process has reported in the last half minute.",
    )


def _roles(roles: Mapping[str, int]) -> Table:
    ordered = sorted(roles.items(), key=lambda pair: (-pair[1], pair[0]))
    return Table(
        columns=[Column("Role"), Column("Open", numeric=True)],
        rows=[[role or "none", f"{count:,}"] for role, count in ordered],
        caption="Open by role",
        empty="Nobody is connected.",
    )


def _codes(closed: Mapping[str, int]) -> Table:
    rows: list[list[Any]] = [
        [badge("code", code, tone=_tone(code)), f"{count:,}", _MEANINGS.get(code, "Unknown.")]
        for code, count in sorted(closed.items())
    ]
    return Table(
        columns=[Column("Code"), Column("Closed", numeric=True), Column("What it means")],
        rows=rows,
        caption="Closed by code",
        empty="No connection has ended yet.",
    )


def _tone(code: str) -> str:
    if code in {"4408", "4409", "1013", "4429"}:
        return "warn"
    return "bad" if code in {"4400", "4413", "1002", "1007", "1009"} else "info"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} ms"
