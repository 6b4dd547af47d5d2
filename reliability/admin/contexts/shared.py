"""What the pages of several nouns show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from core.components import Column, Table, badge, when
from core.memory import Memory
from reliability.admin.contexts.history import history_of
from reliability.admin.display import milliseconds
from reliability.models import Check, Incident
from reliability.selectors import history, incidents
from reliability.selectors.bars import span

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from reliability.engine.history import History
    from reliability.models import Service

PHASES: Final = {
    "dns_ms": "Name",
    "connect_ms": "Connection",
    "tls_ms": "TLS",
    "first_byte_ms": "First byte",
}
"""What an answer's time is made of."""
TIMINGS: Final = tuple(Column(label, numeric=True) for label in (*PHASES.values(), "Total"))
"""The last columns of a table of results of every kind; `timings` fills them."""
_SHOWN: Final = 10
_MANY: Final = 500
_known: Memory[int, dict[str, History]] = Memory(most=20, seconds=30)


def watched(request: HttpRequest, thing: Service | Check) -> dict[str, Any]:
    """Return what a service and a check have in common: acts, history and incidents."""
    may = request.user.has_perm
    noun = thing._meta.model_name
    shown: dict[str, Any] = {"run_url": "", "edit_url": ""}
    if may("reliability.run_uptimetest"):
        shown["run_url"] = reverse(f"admin:reliability_{noun}_run", args=[thing.pk])
    if may(f"reliability.change_{noun}"):
        shown["edit_url"] = reverse(f"admin:reliability_{noun}_change", args=[thing.pk])
    if may("reliability.view_statesegment"):
        shown |= history_of(request, _windows(thing))
    if may("reliability.view_incident"):
        is_check = noun == "check"
        found = (
            incidents.of_check(thing.pk) if is_check else Incident.objects.filter(service=thing.pk)
        )
        shown["incidents"] = _incidents(found)
    return shown


def _windows(thing: Service | Check) -> dict[str, History]:
    """Return the history of all windows; that of very many checks may be some seconds old."""
    if isinstance(thing, Check):
        return history.windows(check_id=thing.pk)
    many = thing.checks.order_by()[:_MANY].count() == _MANY
    if not many:
        return history.windows(service_id=thing.pk)
    return _known.of(thing.pk, lambda: history.windows(service_id=thing.pk))


def link(request: HttpRequest, noun: str, key: int, text: str) -> str:
    """Return a link to the page of a service or a check, or the text alone if it is closed."""
    if not request.user.has_perm(f"reliability.view_{noun}"):
        return text
    page = reverse(f"admin:reliability_{noun}_page", args=[key])
    return format_html('<a href="{}">{}</a>', page, text)


def verdict(*, ok: bool) -> str:
    """Return whether a result was good."""
    return badge("ok", "OK") if ok else badge("failed")


def timings(*spent: float | None) -> list[str]:
    """Return the cells of `TIMINGS`; what did not happen took no time and stays empty."""
    return [milliseconds(value or None) for value in spent]


def lasted(incident: Incident) -> str:
    """Return how long an incident lasted, or lasts."""
    end = incident.resolved_at or timezone.now()
    return span(round((end - incident.started_at).total_seconds() * 1_000_000))


def so_far(incident: Incident) -> str:
    """Return how long an incident lasted, or for how long it lasts already."""
    spent = lasted(incident)
    return spent if incident.resolved_at else f"for {spent}"


def _incidents(found: QuerySet[Incident]) -> Table:
    newest = found.select_related("owner").defer("excerpt").order_by("-id")
    return Table(
        columns=[
            Column("State"),
            Column("Incident"),
            Column("Began", room="medium"),
            Column("Lasted", numeric=True),
            Column("Owner", room="medium"),
        ],
        rows=[
            [
                badge(incident.state),
                format_html(
                    '<a href="{}">{}</a>',
                    reverse("admin:reliability_incident_change", args=[incident.pk]),
                    incident.title,
                ),
                when(incident.started_at),
                so_far(incident),
                incident.owner or "-",
            ]
            for incident in newest[:_SHOWN]
        ],
        caption="Incidents",
        empty="No incident so far.",
    )
