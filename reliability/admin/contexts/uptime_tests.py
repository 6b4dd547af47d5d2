"""What the page of an uptime test shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils.html import format_html

from core.components import Column, Progress, Table
from reliability.admin.contexts.shared import TIMINGS, timings, verdict
from reliability.engine.history import micros
from reliability.models import UptimeTest
from reliability.selectors.bars import span

if TYPE_CHECKING:
    from django.http import HttpRequest

_PHASES: Final = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms")


def test_context(request: HttpRequest, test: UptimeTest) -> dict[str, Any]:
    """Return what the page of an uptime test shows."""
    count = len(test.check_ids)
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
            done=count * test.progress // 100,
            total=count if test.state == UptimeTest.State.RUNNING else 0,
            phase=phase,
            started_at=test.created_at,
            cancel_url=cancel_url if may_cancel else "",
        ),
        "took": span(micros(test.finished_at) - micros(test.created_at))
        if test.finished_at
        else "",
        "table": Table(
            columns=[
                Column("Result"),
                Column("Check"),
                Column("Answer"),
                *TIMINGS,
            ],
            rows=[_row(result) for result in _failures_first(test.results)],
            caption="Results",
            empty="No result yet." if not is_over else "Nothing was found out.",
        ),
    }


def _failures_first(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(results, key=lambda result: bool(result["ok"]))


def _row(result: dict[str, Any]) -> list[object]:
    phases = result["phases"]
    page = reverse("admin:reliability_check_page", args=[result["check"]])
    name = f"{result['service']}: {result['name']}"
    return [
        verdict(ok=result["ok"]),
        format_html('<a href="{}">{}</a>', page, name),
        result["detail"] or f"HTTP {result['status_code']}",
        *timings(*(phases[key] for key in _PHASES), result["latency_ms"]),
    ]
