"""Open, acknowledge and resolve incidents; each step with its timeline, audit row and alert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import record
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from notifications.services.emit import emit
from reliability.models import Check, CheckState, Incident, IncidentEvent
from reliability.services import answers, news

if TYPE_CHECKING:
    from datetime import datetime

    from core.actors import Actor
    from reliability.engine.probe import Result

KIND: Final = "reliability.check_down"
# Incidents of the platform itself, which no check finds.
OWN_KIND: Final = "platform.security"
OWN_NAME: Final = "OpsPlatform"
MAX_NOTE: Final = 4000
IS_DOWN: Final = "is down"
# What the title of an alert says of a check whose incident ends.
UP_AGAIN: Final = "is up again"
BY_HAND: Final = "was marked as resolved by hand"
SWITCHED_OFF: Final = "is no longer checked: switched off"
DELETED: Final = "is no longer checked: deleted"

_OPEN: Final = (Incident.State.TRIGGERED, Incident.State.ACKNOWLEDGED)


def open_for(
    *, actor: Actor, check: Check, state: CheckState, result: Result, since: datetime
) -> Incident | None:
    """Open the incident of a check that went down.

    None if one is open already, or was ended by hand and the check was never up since. The caller
    holds the lock on `state`; its alert number rises here.
    """
    if state.settled or Incident.objects.filter(check_of=check, state__in=_OPEN).exists():
        return None
    incident = Incident.objects.create(
        check_of=check,
        service=check.service,
        service_name=check.service.name,
        title=_title(check, IS_DOWN),
        dedup_key=_dedup_key(check),
        failure=result.failure or "",
        detail=answers.detail(result.detail),
        excerpt=answers.kept(result.excerpt),
        started_at=since,
    )
    text = f"{incident.detail.rstrip('.')}. Failing since {since:%Y-%m-%d %H:%M:%S} UTC."
    _tell(incident, IncidentEvent.Kind.OPENED, actor=actor, text=text)
    record(actor=actor, action="incident.opened", target=incident, failure=incident.failure)
    title = incident.title
    _alert(incident, actor=actor, check=check, state=state, status="firing", title=title, body=text)
    return incident


def end(*, actor: Actor, check: Check, state: CheckState, what: str, text: str) -> Incident | None:
    """Resolve the open incident of a check, if there is one; its next outage opens another.

    `what` follows the name in the title of the alert. The caller holds the lock on `state`.
    """
    if state.settled:
        _settle(state, settled=False)
    incident = Incident.objects.filter(check_of=check, state__in=_OPEN).first()
    if incident is not None:
        _resolve(incident, actor=actor, check=check, state=state, what=what, text=text)
    return incident


@audited
def acknowledge(*, actor: Actor, incident_id: int) -> Incident:
    """Say that somebody takes care; the actor becomes the owner."""
    taken = Incident.objects.filter(pk=incident_id, state=Incident.State.TRIGGERED).update(
        state=Incident.State.ACKNOWLEDGED, acknowledged_at=timezone.now(), owner=actor.user_id
    )
    incident = _get(incident_id)
    if not taken:
        message = f"The incident is {incident.get_state_display().lower()} already."
        raise InvalidTransitionError(message)
    _tell(incident, IncidentEvent.Kind.ACKNOWLEDGED, actor=actor)
    record(actor=actor, action="incident.acknowledged", target=incident)
    return incident


@audited
def resolve(*, actor: Actor, incident_id: int, reason: str) -> Incident:
    """End an incident by hand; it does not open again until the check was up in between."""
    text = _written(reason, "reason")
    check_id = _get(incident_id).check_of_id
    if check_id is None:
        return _resolve_own(actor=actor, incident_id=incident_id, text=text)
    # The state is locked before the incident, as the flush does.
    state = CheckState.objects.select_for_update().filter(pk=check_id).first()
    incident = _get(incident_id)
    check = incident.check_of
    if incident.state == Incident.State.RESOLVED or check is None or state is None:
        message = "The incident is resolved already."
        raise InvalidTransitionError(message)
    _resolve(incident, actor=actor, check=check, state=state, what=BY_HAND, text=text)
    _settle(state, settled=True)
    return incident


@audited
def open_own(*, actor: Actor, key: str, title: str, detail: str) -> Incident | None:
    """Open an incident of the platform itself, such as a damaged log; None if it is open already.

    Nothing recovers by itself here: a person resolves it.
    """
    dedup_key = f"{OWN_KIND}:{key}"
    if Incident.objects.filter(dedup_key=dedup_key, state__in=_OPEN).exists():
        return None
    incident = Incident.objects.create(
        service_name=OWN_NAME,
        title=title[:300],
        dedup_key=dedup_key,
        detail=answers.detail(detail),
        started_at=timezone.now(),
    )
    _tell(incident, IncidentEvent.Kind.OPENED, actor=actor, text=detail)
    record(actor=actor, action="incident.opened", target=incident, reason=detail)
    _alert_own(incident, actor=actor, status="firing", title=incident.title, body=detail)
    return incident


def _resolve_own(*, actor: Actor, incident_id: int, text: str) -> Incident:
    ended = Incident.objects.filter(
        pk=incident_id, state__in=_OPEN, dedup_key__startswith=f"{OWN_KIND}:"
    ).update(state=Incident.State.RESOLVED, resolved_at=timezone.now())
    incident = _get(incident_id)
    if not ended:
        message = "The incident is resolved already."
        raise InvalidTransitionError(message)
    _tell(incident, IncidentEvent.Kind.RESOLVED, actor=actor, text=text)
    record(actor=actor, action="incident.resolved", target=incident, reason=text)
    title = f"Resolved: {incident.title}"
    _alert_own(incident, actor=actor, status="resolved", title=title, body=text)
    return incident


def _alert_own(incident: Incident, *, actor: Actor, status: str, title: str, body: str) -> None:
    # Two numbers for each incident: its opening, and its end.
    emit(
        actor=actor,
        kind=OWN_KIND,
        severity=incident.severity,
        status=status,
        dedup_key=incident.dedup_key,
        transition_seq=incident.pk * 2 + (status == "resolved"),
        title=title,
        body=body,
        service=OWN_NAME,
        links={"incident": _page(incident)},
    )


@audited
def add_note(*, actor: Actor, incident_id: int, text: str) -> IncidentEvent:
    """Add a note to the timeline, also after the end."""
    incident = _get(incident_id)
    event = _tell(incident, IncidentEvent.Kind.NOTE, actor=actor, text=_written(text, "text"))
    record(actor=actor, action="incident.noted", target=incident)
    return event


def _settle(state: CheckState, *, settled: bool) -> None:
    state.settled = settled
    CheckState.objects.filter(pk=state.pk).update(settled=settled)


def _resolve(
    incident: Incident, *, actor: Actor, check: Check, state: CheckState, what: str, text: str
) -> None:
    ended = Incident.objects.filter(pk=incident.pk, state__in=_OPEN).update(
        state=Incident.State.RESOLVED, resolved_at=timezone.now()
    )
    if not ended:
        message = "The incident is resolved already."
        raise InvalidTransitionError(message)
    incident.refresh_from_db()
    _tell(incident, IncidentEvent.Kind.RESOLVED, actor=actor, text=text)
    record(actor=actor, action="incident.resolved", target=incident, reason=text)
    title = _title(check, what)
    _alert(
        incident, actor=actor, check=check, state=state, status="resolved", title=title, body=text
    )


def _alert(
    incident: Incident,
    *,
    actor: Actor,
    check: Check,
    state: CheckState,
    status: str,
    title: str,
    body: str,
) -> None:
    # The lock on the state puts the numbers in the order of the transitions.
    CheckState.objects.filter(pk=state.pk).update(alert_seq=F("alert_seq") + 1)
    state.refresh_from_db(fields=["alert_seq"])
    emit(
        actor=actor,
        kind=KIND,
        severity=incident.severity,
        status=status,
        dedup_key=incident.dedup_key,
        transition_seq=state.alert_seq,
        title=title,
        body=f"{body}\n{check.shown_url}",
        service=check.service.name,
        labels={
            "check": str(check.pk),
            "environment": check.service.environment,
            "failure": incident.failure,
            "tier": check.service.tier,
        },
        links={"incident": _page(incident)},
    )


def _page(incident: Incident) -> str:
    return f"{settings.BASE_URL.rstrip('/')}/admin/reliability/incident/{incident.pk}/change/"


def _tell(
    incident: Incident, kind: IncidentEvent.Kind, *, actor: Actor, text: str = ""
) -> IncidentEvent:
    news.incident_changed(incident)
    return IncidentEvent.objects.create(
        incident=incident, kind=kind, actor_kind=actor.kind, actor_name=actor.name[:200], text=text
    )


def _get(incident_id: int) -> Incident:
    found = Incident.objects.select_related("check_of__service").defer("check_of__headers")
    incident = found.filter(pk=incident_id).first()
    if incident is None:
        message = "There is no such incident."
        raise NotFoundError(message)
    return incident


def _written(text: str, field: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    is_storable = text.replace("\n", "").replace("\t", "").isprintable()
    if not 0 < len(text) <= MAX_NOTE or not is_storable:
        message = f"Write 1 to {MAX_NOTE} printable characters."
        raise InvalidInputError(message, errors={field: [message]})
    return text


def _title(check: Check, what: str) -> str:
    name = f"{check.service.name} ({check.name})" if check.name else check.service.name
    return f"{name} {what}"


def _dedup_key(check: Check) -> str:
    return f"{KIND}:{check.pk}"
