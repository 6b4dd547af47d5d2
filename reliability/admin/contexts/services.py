"""What the page of a service shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Min
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from core.adminlists import BoundedPaginator
from core.components import Column, badge, table_of, when
from reliability.admin.contexts.changes import changes_of
from reliability.admin.contexts.maintenance import maintenance_of
from reliability.admin.contexts.objectives import objectives_of
from reliability.admin.contexts.shared import watched
from reliability.admin.display import last_answer, milliseconds, web_link
from reliability.engine.strikes import State
from reliability.selectors import ranks, states
from reliability.selectors.bars import age

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

    from core.components import Table
    from reliability.models import Check, Service


def service_context(request: HttpRequest, service: Service) -> dict[str, Any]:
    """Return what the page of a service shows; it costs the same with any number of checks."""
    may = request.user.has_perm
    said = ranks.worst_of_service(service.pk)
    counts = ranks.counts_of(service.pk)
    total = sum(counts.values())
    shown: dict[str, Any] = {
        "state": said.state.value if said else State.UNKNOWN.value,
        "since": said.since if said else None,
        "is_watched": total > counts.get("off", 0),
        "facts": [
            ("Tier", service.get_tier_display()),
            ("Environment", service.get_environment_display()),
            ("Owner", service.owner or "-"),
            ("URL", web_link(service.url) or "-"),
            ("Status page", _public(service)),
            ("Added", when(service.created_at)),
        ],
        "may_add_check": may("reliability.add_check"),
        **watched(request, service),
        **objectives_of(request, service),
        **maintenance_of(request, service),
        **changes_of(request, service),
    }
    if may("reliability.view_check"):
        shown["checks"] = _checks(request, service)
        shown["counts"] = list(counts.items()) if total > 1 else []
        shown["total"] = total
        slow = service.checks.filter(degraded_ms__isnull=False)
        shown["threshold"] = slow.aggregate(least=Min("degraded_ms"))["least"]
    if not total:
        shown["run_url"] = ""
    return shown


def _public(service: Service) -> str:
    if not service.is_public:
        return "Not shown"
    page = reverse("status")
    named = service.public_name or service.name
    return format_html('<a href="{}">Shown as “{}”</a>', page, named)


def _checks(request: HttpRequest, service: Service) -> Table:
    return table_of(
        request,
        ranks.worst_first(service.pk),
        [
            Column("State"),
            Column("Check"),
            Column("For", numeric=True, room="medium"),
            Column("Last answer"),
            Column("Latency", numeric=True, room="medium"),
            Column("Asked", room="wide"),
            Column("Next", room="wide"),
        ],
        _check_row,
        caption="Checks",
        name="checks-",
        paginator=BoundedPaginator,
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
