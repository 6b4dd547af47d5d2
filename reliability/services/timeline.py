"""Write what happens to an incident: its timeline, the live feed, and what people are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from notifications.services.emit import emit
from reliability.models import Check, Incident, IncidentEvent
from reliability.services import news

if TYPE_CHECKING:
    from datetime import datetime

    from core.actors import Actor
    from reliability.models import Alert, Service

OWN_NAME: Final = "OpsPlatform"
"""What stands for the service where the platform itself is meant."""


def tell(
    incident: Incident,
    kind: IncidentEvent.Kind,
    *,
    actor: Actor,
    text: str = "",
    at: datetime | None = None,
) -> IncidentEvent:
    """Add a line to the timeline."""
    news.incident_changed(incident)
    return IncidentEvent.objects.create(
        incident=incident,
        kind=kind,
        actor_kind=actor.kind,
        actor_name=actor.name[:200],
        text=text,
        at=at or timezone.now(),
    )


def announce(  # the incident is locked
    incident: Incident,
    *,
    actor: Actor,
    kind: str,
    status: str,
    title: str,
    body: str,
    alert: Alert | None = None,
) -> None:
    """Tell people of a transition; the caller holds the lock, which orders the numbers."""
    Incident.objects.filter(pk=incident.pk).update(seq=F("seq") + 1, told_at=timezone.now())
    incident.refresh_from_db(fields=["seq", "told_at"])
    # Headers need not even unseal.
    first = Check.objects.defer("headers").filter(pk=incident.check_of_id or 0)
    check = alert.check_of if alert is not None else first.first()
    emit(
        actor=actor,
        kind=kind,
        severity=incident.severity,
        status=status,
        dedup_key=outbox_key(incident),
        transition_seq=incident.seq,
        title=title,
        body=f"{body}\n{check.shown_url or check.host}".rstrip() if check else body,
        service=incident.service_name,
        labels=labels_of(incident.service, check, incident.failure)
        | {name: str(value) for name, value in (alert.labels if alert else {}).items()},
        links={"incident": page_of(incident)},
    )


def labels_of(service: Service | None, check: Check | None, failure: str) -> dict[str, str]:
    """Return by what a message can be routed."""
    labels = {}
    if check is not None:
        labels["check"] = str(check.pk)
    if service is not None:
        labels["environment"] = service.environment
        labels["tier"] = service.tier
    if failure:
        labels["failure"] = failure
    return labels


def outbox_key(incident: Incident) -> str:
    """Return what the messages about one incident have in common."""
    return incident.outbox_key or f"incident:{incident.pk}"


def page_of(incident: Incident) -> str:
    """Return the address of its page."""
    return f"{settings.BASE_URL.rstrip('/')}/admin/reliability/incident/{incident.pk}/change/"
