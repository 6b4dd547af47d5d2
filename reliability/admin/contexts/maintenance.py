"""What pages show of maintenance."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from core.components import Column, Table, badge, when
from reliability.selectors import maintenance
from reliability.selectors.bars import span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest

    from reliability.models import MaintenanceOccurrence, Service

VIEW: Final = "reliability.view_maintenancewindow"
_DAYS: Final = 30
_SHOWN: Final = 10
_NAMED: Final = 5


def maintenance_of(request: HttpRequest, service: Service) -> dict[str, Any]:
    """Return what the page of a service shows of its maintenance; nothing if that is closed."""
    if not request.user.has_perm(VIEW):
        return {}
    found = maintenance.upcoming([service.pk], days=_DAYS, most=_SHOWN)
    add = reverse("admin:reliability_maintenancewindow_add")
    may_add = request.user.has_perm("reliability.add_maintenancewindow")
    return {
        "maintenance": Table(
            columns=[
                Column("State", room="medium"),
                Column("Maintenance"),
                Column("Begins"),
                Column("Ends", room="medium"),
            ],
            rows=[
                [state_of(time), _link(time), when(time.starts_at), when(time.ends_at)]
                for time in found
            ],
            caption="Maintenance",
            empty=f"None within the next {_DAYS} days.",
        ),
        "maintenance_add_url": f"{add}?services={service.pk}" if may_add else "",
    }


def calendar(times: Iterable[MaintenanceOccurrence]) -> list[tuple[str, Table]]:
    """Return times by day, in UTC."""
    days = groupby(times, key=lambda time: max(time.starts_at, timezone.now()).date())
    return [
        (
            f"{day:%A}, {day.day} {day:%B %Y}",
            Table(
                columns=[
                    Column("Maintenance"),
                    Column("State"),
                    Column("From"),
                    Column("Until"),
                    Column("Lasts", numeric=True),
                    Column("Services"),
                ],
                rows=[
                    [
                        _link(time),
                        state_of(time),
                        when(time.starts_at),
                        when(time.ends_at),
                        lasts(time),
                        names_of(time),
                    ]
                    for time in found
                ],
                caption=f"{day.day} {day:%B}",
            ),
        )
        for day, found in days
    ]


def state_of(time: MaintenanceOccurrence) -> str:
    """Return whether a time holds already."""
    if time.starts_at <= timezone.now():
        return badge("maintenance", "Now", tone="warn")
    return badge("planned", "Planned", tone="info")


def lasts(time: MaintenanceOccurrence) -> str:
    """Return how long a time is."""
    return span(round((time.ends_at - time.starts_at).total_seconds() * 1_000_000))


def names_of(time: MaintenanceOccurrence) -> str:
    """Return the services of a time, as far as they fit into a line."""
    names = [service.name for service in time.window.services.all()]
    if not names:
        return "every service"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _link(time: MaintenanceOccurrence) -> str:
    page = reverse("admin:reliability_maintenancewindow_change", args=[time.window_id])
    return format_html('<a href="{}">{}</a>', page, time.window.title)
