"""What the page of a check shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core.components import Column, Table, when
from reliability.admin.contexts.shared import TIMINGS, link, timings, verdict, watched
from reliability.admin.display import last_answer, milliseconds
from reliability.models import Check, Sample
from reliability.selectors import states

if TYPE_CHECKING:
    from django.http import HttpRequest

_RESULTS_SHOWN: Final = 20


def check_context(request: HttpRequest, check: Check, *, sees_urls: bool) -> dict[str, Any]:
    """Return what the page of a check shows."""
    said = check.says
    shown: dict[str, Any] = {
        "state": said.state.value if check.enabled else "off",
        "since": said.since,
        "answer": last_answer(check),
        "next_at": states.next_probe(check),
        "threshold": check.degraded_ms,
        "facts": _facts(request, check, check.url if sees_urls else check.shown_url),
        **watched(request, check),
    }
    if request.user.has_perm("reliability.view_sample"):
        shown["results"] = _results(check)
    return shown


def _facts(request: HttpRequest, check: Check, url: str) -> list[tuple[str, object]]:
    has_headers = Check.objects.filter(pk=check.pk).exclude(headers=None).exists()
    rules = [
        f"status {check.accept}",
        f"“{check.body_contains}” in the answer" if check.body_contains else "",
        "" if check.tls_verify else "any certificate",
        "" if check.follow_redirects else "no redirect",
    ]
    return [
        ("Service", link(request, "service", check.service_id, check.service.name)),
        ("Asks", f"{check.method} {url}"),
        ("Own headers", "set, never shown" if has_headers else "none"),
        ("Every", f"{check.interval_seconds} s, at most {check.timeout_seconds} s long"),
        ("Good", ", ".join(rule for rule in rules if rule)),
        ("Slow above", milliseconds(check.degraded_ms) or "-"),
        ("Down after", f"{check.strikes_down} failures in a row"),
        ("Up after", f"{check.strikes_up} successes in a row"),
    ]


def _results(check: Check) -> Table:
    newest = Sample.objects.filter(check_of=check).order_by("-at").defer("excerpt")
    return Table(
        columns=[
            Column("At"),
            Column("Result"),
            Column("Answer"),
            *TIMINGS,
        ],
        rows=[
            [
                when(sample.at),
                verdict(ok=sample.ok),
                (sample.detail or f"HTTP {sample.status_code}")
                + (" (by hand)" if sample.manual else ""),
                *timings(
                    sample.dns_ms,
                    sample.connect_ms,
                    sample.tls_ms,
                    sample.first_byte_ms,
                    sample.latency_ms,
                ),
            ]
            for sample in newest[:_RESULTS_SHOWN]
        ],
        caption="Last results",
        empty="No result yet. The first comes within seconds.",
    )
