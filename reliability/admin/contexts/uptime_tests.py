"""What the page of an uptime test shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.paginator import Paginator
from django.urls import reverse

from core.components import Column, Progress, Table
from reliability.admin.contexts.shared import TIMINGS, link, timings, verdict
from reliability.engine.history import micros
from reliability.models import UptimeTest
from reliability.selectors.bars import span
from reliability.selectors.results import answer_of

if TYPE_CHECKING:
    from django.http import HttpRequest

_RESULTS_SHOWN: Final = 50
_PHASES: Final = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms")


def test_context(request: HttpRequest, test: UptimeTest) -> dict[str, Any]:
    """Return what the page of an uptime test shows."""
    is_over = test.finished_at is not None
    may_cancel = request.user.has_perm("reliability.run_uptimetest") and not (
        is_over or test.cancel_requested_at
    )
    cancel_url = reverse("admin:reliability_uptimetest_cancel", args=[test.pk])
    phase = "Waits for a worker" if test.state == UptimeTest.State.QUEUED else "Asked"
    if test.cancel_requested_at and not is_over:
        phase = "Is being cancelled"
    return {
        "is_over": is_over,
        "work": Progress(
            label=str(test),
            done=test.check_count * test.progress // 100,
            total=test.check_count if test.state == UptimeTest.State.RUNNING else 0,
            phase=phase,
            started_at=test.created_at,
            cancel_url=cancel_url if may_cancel else "",
        ),
        "took": span(micros(test.finished_at) - micros(test.created_at))
        if test.finished_at
        else "",
        "table": _results(request, test),
    }


def _results(request: HttpRequest, test: UptimeTest) -> Table:
    # A run may hold ten thousand; sorting is stable, so that each keeps its place.
    failures_first = sorted(test.results, key=lambda result: bool(result["ok"]))
    page = Paginator(failures_first, _RESULTS_SHOWN).get_page(request.GET.get("page"))
    return Table(
        columns=[Column("Result"), Column("Check"), Column("Answer"), *TIMINGS],
        rows=[_row(request, result) for result in page],
        caption="Results",
        page=page,
        empty="No result yet." if test.finished_at is None else "Nothing was found out.",
    )


def _row(request: HttpRequest, result: dict[str, Any]) -> list[object]:
    phases = result["phases"]
    name = f"{result['service']}: {result['name']}"
    return [
        verdict(ok=result["ok"]),
        link(request, "check", result["check"], name),
        answer_of(result["detail"], result["status_code"]),
        *timings(*(phases[key] for key in _PHASES), result["latency_ms"]),
    ]
