"""What the page of an incident shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.paginator import Paginator

from core.components import badge, when
from reliability.admin.contexts.shared import lasted, link
from reliability.models import Incident, IncidentEvent
from reliability.selectors.incidents import SEE_ANSWERS

if TYPE_CHECKING:
    from django.http import HttpRequest

_EVENTS_SHOWN: Final = 100
_TONES: Final = {
    IncidentEvent.Kind.OPENED: "bad",
    IncidentEvent.Kind.ACKNOWLEDGED: "warn",
    IncidentEvent.Kind.RESOLVED: "ok",
    IncidentEvent.Kind.NOTE: "info",
}


def incident_context(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    """Return what the page of an incident shows."""
    may = request.user.has_perm
    is_open = incident.state != Incident.State.RESOLVED
    shown: dict[str, Any] = {
        "is_open": is_open,
        "lasted": lasted(incident),
        "facts": _facts(request, incident),
        "may_acknowledge": may("reliability.acknowledge_incident")
        and incident.state == Incident.State.TRIGGERED,
        "may_resolve": may("reliability.change_incident") and is_open,
        "may_note": may("reliability.acknowledge_incident"),
        "may_see_latency": may("reliability.view_sample") and incident.check_of_id is not None,
        "answer": incident.excerpt if may(SEE_ANSWERS) else "",
    }
    if may("reliability.view_incidentevent"):
        # Anybody who takes care may add notes without end.
        newest = Paginator(incident.events.order_by("-id"), _EVENTS_SHOWN)
        page = newest.get_page(request.GET.get("page"))
        shown["timeline"] = page
        shown["events"] = [
            (event, _TONES.get(IncidentEvent.Kind(event.kind), "")) for event in page
        ]
    return shown


def _facts(request: HttpRequest, incident: Incident) -> list[tuple[str, object]]:
    service = incident.service_name
    if incident.service_id is not None:
        service = link(request, "service", incident.service_id, service)
    check = "deleted"
    if incident.check_of is not None:
        check = link(request, "check", incident.check_of.pk, incident.check_of.label)
    return [
        ("Service", service),
        ("Check", check),
        ("Severity", badge(incident.severity)),
        ("Owner", incident.owner or "nobody yet"),
        ("Began", when(incident.started_at)),
        ("Noticed", when(incident.opened_at)),
        ("Acknowledged", when(incident.acknowledged_at)),
        ("Resolved", when(incident.resolved_at)),
        ("Lasted", lasted(incident)),
        ("Found", incident.detail or incident.failure or "-"),
    ]
