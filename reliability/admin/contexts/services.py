"""What the page of a service shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from core.components import Column, Table, badge, when
from reliability.admin.contexts.shared import watched
from reliability.admin.display import last_answer, milliseconds, web_link
from reliability.selectors import states
from reliability.selectors.bars import age

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from reliability.models import Check, Service


def service_context(request: HttpRequest, service: Service) -> dict[str, Any]:
    """Return what the page of a service shows."""
    may = request.user.has_perm
    checks = list(service.checks.all())
    limits = [check.degraded_ms for check in checks if check.degraded_ms]
    shown: dict[str, Any] = {
        "state": states.worst_state(service).value,
        "since": states.service_since(service),
        "is_watched": any(check.enabled for check in checks),
        "facts": [
            ("Tier", service.get_tier_display()),
            ("Environment", service.get_environment_display()),
            ("Owner", service.owner or "-"),
            ("URL", web_link(service.url) or "-"),
            ("Added", when(service.created_at)),
        ],
        "may_add_check": may("reliability.add_check"),
        **watched(request, service),
    }
    if may("reliability.view_check"):
        shown["checks"] = _checks(checks)
        shown["threshold"] = min(limits, default=None)
    if not checks:
        shown["run_url"] = ""
    return shown


def _checks(checks: list[Check]) -> Table:
    return Table(
        columns=[
            Column("State"),
            Column("Check"),
            Column("For", numeric=True),
            Column("Last answer"),
            Column("Latency", numeric=True),
            Column("Asked"),
            Column("Next"),
        ],
        rows=[_check_row(check) for check in checks],
        caption="Checks",
    )


def _check_row(check: Check) -> list[object]:
    said = check.says
    page = reverse("admin:reliability_check_page", args=[check.pk])
    return [
        badge(said.state.value if check.enabled else "off"),
        format_html('<a href="{}">{}</a>', page, check.label),
        format_html(
            '<span title="{} UTC">{}</span>', f"{said.since:%Y-%m-%d %H:%M:%S}", age(said.since)
        ),
        last_answer(check),
        milliseconds(check.state.last_ms),
        when(check.state.last_at),
        _soon(states.next_probe(check)),
    ]


def _soon(moment: datetime | None) -> str:
    """Return when something is due; what should have been is due now."""
    if moment is None:
        return "-"
    return "now" if moment <= timezone.now() else when(moment)
