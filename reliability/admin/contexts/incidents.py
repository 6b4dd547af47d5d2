"""What the pages of an incident show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.paginator import Paginator
from django.urls import reverse

from accounts.models import User
from core.components import Column, Table, badge, when
from reliability.admin.contexts.alerts import alerts_table
from reliability.admin.contexts.shared import lasted, link
from reliability.admin.contexts.told import told_context
from reliability.admin.steps import CARE, CHANGE, STEPS
from reliability.engine.post_mortem import begun
from reliability.models import Incident, IncidentEvent
from reliability.selectors.incidents import SEE_ANSWERS

if TYPE_CHECKING:
    from django.http import HttpRequest

_EVENTS_SHOWN: Final = 100
_OWNERS_OFFERED: Final = 200
_Kind = IncidentEvent.Kind
_TONES: Final = {
    _Kind.OPENED: "bad",
    _Kind.REOPENED: "bad",
    _Kind.ALERT: "bad",
    _Kind.EXPIRED: "bad",
    _Kind.ACKNOWLEDGED: "warn",
    _Kind.MITIGATED: "warn",
    _Kind.SEVERITY: "warn",
    _Kind.RESOLVED: "ok",
    _Kind.CLOSED: "ok",
    _Kind.NOTE: "info",
    _Kind.UPDATE: "info",
    _Kind.POST_MORTEM: "info",
}


def incident_context(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    """Return what the page of an incident shows."""
    may = request.user.has_perm
    is_open = incident.state not in {Incident.State.RESOLVED, Incident.State.CLOSED}
    shown: dict[str, Any] = {
        "is_open": is_open,
        "lasted": lasted(incident),
        "facts": _facts(request, incident),
        "steps": [
            (step, reverse(f"admin:reliability_incident_{step.name}", args=[incident.pk]))
            for step in STEPS
            if step.button and may(step.permission) and incident.state in step.states
        ],
        "may_note": may(CARE),
        "may_change": may(CHANGE),
        "may_see_latency": may("reliability.view_sample") and incident.check_of_id is not None,
        "answer": incident.excerpt if may(SEE_ANSWERS) else "",
    }
    if may("reliability.view_alert"):
        shown["alerts"] = alerts_table(incident.alerts.all(), caption="Its alerts")
    shown |= told_context(request, incident)
    if may("reliability.view_incidentevent"):
        # Anybody who takes care may add notes without end.
        told = incident.events.exclude(kind=_Kind.CHANGE).order_by("-id")
        page = Paginator(told, _EVENTS_SHOWN).get_page(request.GET.get("page"))
        shown["timeline"] = page
        shown["events"] = [(event, _TONES.get(_Kind(event.kind), "")) for event in page]
        shown["changes"] = _changes(incident)
    return shown


def edit_context(incident: Incident) -> dict[str, Any]:
    """Return what the form of an incident shows."""
    people = User.objects.filter(is_active=True, is_staff=True).order_by("username")
    return {
        "title": "Change this incident",
        "severities": Incident.Severity.choices,
        "severity": incident.severity,
        "owner": incident.owner.username if incident.owner else "",
        "owners": list(people.values_list("username", flat=True)[:_OWNERS_OFFERED]),
        "is_public": incident.is_public,
    }


def post_mortem_context(incident: Incident) -> dict[str, Any]:
    """Return what the form of a post-mortem shows: what is written, or what to begin with."""
    told = incident.events.order_by("at", "id")[:_EVENTS_SHOWN]
    text = incident.post_mortem or begun(
        title=incident.title,
        service=incident.service_name,
        severity=incident.get_severity_display(),
        started_at=incident.started_at,
        resolved_at=incident.resolved_at,
        lines=[
            (event.at, f"{event.get_kind_display()} by {event.actor_name}. {event.text}")
            for event in told
        ],
    )
    return {"title": "Post-mortem", "post_mortem": text}


def _changes(incident: Incident) -> Table:
    found = incident.events.filter(kind=_Kind.CHANGE).order_by("-at", "-id")[:_EVENTS_SHOWN]
    return Table(
        columns=[Column("When"), Column("What"), Column("By")],
        rows=[[when(event.at), event.text, event.actor_name] for event in found],
        caption="What changed in the hour before",
        empty="Nothing that anybody told, and no setting.",
    )


def _facts(request: HttpRequest, incident: Incident) -> list[tuple[str, object]]:
    service = incident.service_name
    if incident.service_id is not None:
        service = link(request, "service", incident.service_id, service)
    times = (
        ("Noticed", incident.opened_at),
        ("Acknowledged", incident.acknowledged_at),
        ("Holds until", incident.acknowledged_until),
        ("Mitigated", incident.mitigated_at),
        ("Resolved", incident.resolved_at),
        ("Closed", incident.closed_at),
    )
    found = incident.detail or incident.failure
    check = "none, or deleted"
    if incident.check_of is not None:
        check = link(request, "check", incident.check_of.pk, incident.check_of.label)
    return [
        ("Service", service),
        ("First check", check),
        ("Severity", badge(incident.severity)),
        ("Owner", incident.owner or "nobody yet"),
        ("Began", when(incident.started_at)),
        # What has not happened takes no room.
        *((name, when(moment)) for name, moment in times if moment is not None),
        *([("Opened again", _times(incident.reopened))] if incident.reopened else []),
        ("For" if incident.resolved_at is None else "Lasted", lasted(incident)),
        *([("Found", found)] if found else []),
        ("Status page", "shown with its service" if incident.is_public else "hidden"),
    ]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
