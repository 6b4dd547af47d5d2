"""What people do about incidents, each step with its timeline, audit row and message."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import record
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from notifications.engine.base import storable
from notifications.services import acknowledgements
from reliability.engine.rules import PLATFORM, RULES
from reliability.models import Alert, Incident, IncidentEvent
from reliability.models.incidents import IS_OVER
from reliability.selectors import maintenance
from reliability.services import alerts, turns
from reliability.services.timeline import announce, outbox_key, tell

if TYPE_CHECKING:
    from core.actors import Actor

MAX_NOTE: Final = 4_000
MAX_POST_MORTEM: Final = 40_000
HOLDS: Final = timedelta(minutes=30)
"""For how long somebody takes care of a critical incident before people are told again."""

BY_HAND: Final = "was marked as resolved by hand"


class IncidentFields(TypedDict, total=False):
    """What people may set on an incident; its owner by name."""

    severity: str
    owner: str | None
    is_public: bool
    post_mortem: str


_State = Incident.State
_Kind = IncidentEvent.Kind


@audited
def acknowledge(*, actor: Actor, incident_id: int) -> Incident:
    """Say that somebody takes care; the actor becomes the owner.

    Of a critical incident it holds for half an hour; then people are told again.
    """
    incident = _locked(incident_id)
    now = timezone.now()
    until = now + HOLDS if incident.severity == Incident.Severity.CRITICAL else None
    _move(
        incident,
        [_State.TRIGGERED],
        _State.ACKNOWLEDGED,
        acknowledged_at=now,
        acknowledged_until=until,
        owner=actor.user_id,
    )
    # Nobody else is called, from the same moment on.
    acknowledgements.follow(dedup_key=outbox_key(incident), actor=actor)
    tell(incident, _Kind.ACKNOWLEDGED, actor=actor)
    record(actor=actor, action="incident.acknowledged", target=incident)
    return incident


def expire_acknowledgements(*, actor: Actor) -> int:
    """Tell people again of critical incidents that nobody has ended in time; return how many.

    Not while the service is in maintenance: it comes when that has ended.
    """
    now = timezone.now()
    due = Incident.objects.filter(state=_State.ACKNOWLEDGED, acknowledged_until__lte=now)
    rows = list(due.order_by("pk").values_list("pk", "service_id"))
    services = {service_id for _, service_id in rows if service_id}
    quiet = maintenance.holds_for(services, at=now)
    return sum(_expire(pk, actor=actor) for pk, service_id in rows if service_id not in quiet)


@transaction.atomic
def _expire(incident_id: int, *, actor: Actor) -> bool:
    incident = _locked(incident_id)
    owner = str(incident.owner) if incident.owner else "somebody"
    expired = Incident.objects.filter(
        pk=incident_id, state=_State.ACKNOWLEDGED, acknowledged_until__lte=timezone.now()
    ).update(state=_State.TRIGGERED, acknowledged_until=None)
    if not expired:
        return False
    incident.refresh_from_db()
    acknowledgements.withdraw(outbox_key(incident))
    text = f"It was acknowledged by {owner} and is still not over."
    tell(incident, _Kind.EXPIRED, actor=actor, text=text)
    record(actor=actor, action="incident.acknowledgement_expired", target=incident)
    _announce(incident, actor=actor, status="firing", title=f"Still: {incident.title}", body=text)
    return True


@audited
def mitigate(*, actor: Actor, incident_id: int, text: str) -> Incident:
    """Say that its effects are over, though not its cause; it resolves when its alerts end."""
    words = _written(text, "text")
    incident = _locked(incident_id)
    _move(
        incident,
        [_State.TRIGGERED, _State.ACKNOWLEDGED],
        _State.MITIGATED,
        mitigated_at=timezone.now(),
        acknowledged_until=None,
        owner=incident.owner_id or actor.user_id,
    )
    acknowledgements.follow(dedup_key=outbox_key(incident), actor=actor)
    tell(incident, _Kind.MITIGATED, actor=actor, text=words)
    record(actor=actor, action="incident.mitigated", target=incident, reason=words)
    return incident


@audited
def resolve(*, actor: Actor, incident_id: int, reason: str) -> Incident:
    """End an incident by hand; the alerts that still hold do not open it again."""
    text = _written(reason, "reason")
    incident = _locked(incident_id)
    for alert in _holding(incident):
        rule = RULES.get(alert.rule)
        if rule is None or not rule.recovers:
            _end_for_good(alert)
    _move(
        incident,
        [_State.TRIGGERED, _State.ACKNOWLEDGED, _State.MITIGATED],
        _State.RESOLVED,
        resolved_at=timezone.now(),
        acknowledged_until=None,
        by_hand=bool(_holding(incident)),
    )
    tell(incident, _Kind.RESOLVED, actor=actor, text=text)
    record(actor=actor, action="incident.resolved", target=incident, reason=text)
    _announce(incident, actor=actor, status="resolved", title=_resolved_title(incident), body=text)
    return incident


@audited
def reopen(*, actor: Actor, incident_id: int, reason: str) -> Incident:
    """Open an incident again that was resolved too early."""
    text = _written(reason, "reason")
    incident = _locked(incident_id)
    others = Incident.objects.exclude(IS_OVER).filter(dedup_key=incident.dedup_key)
    if other := others.exclude(pk=incident_id).first():
        message = f"A newer incident is open: {other.title}. Add a note there."
        raise InvalidTransitionError(message)
    _move(
        incident,
        [_State.RESOLVED],
        _State.TRIGGERED,
        resolved_at=None,
        mitigated_at=None,
        acknowledged_at=None,
        by_hand=False,
        reopened=incident.reopened + 1,
    )
    acknowledgements.withdraw(outbox_key(incident))
    tell(incident, _Kind.REOPENED, actor=actor, text=text)
    record(actor=actor, action="incident.reopened", target=incident, reason=text)
    _announce(incident, actor=actor, status="firing", title=f"Again: {incident.title}", body=text)
    return incident


@audited
def close(*, actor: Actor, incident_id: int) -> Incident:
    """Put a resolved incident away: what fires after this opens another."""
    incident = _locked(incident_id)
    if _holding(incident):
        message = "An alert of the incident still holds: end its cause, or switch the check off."
        raise InvalidTransitionError(message)
    _move(incident, [_State.RESOLVED], _State.CLOSED, closed_at=timezone.now(), by_hand=False)
    tell(incident, _Kind.CLOSED, actor=actor)
    record(actor=actor, action="incident.closed", target=incident)
    return incident


@audited
def set_severity(*, actor: Actor, incident_id: int, severity: str) -> Incident:
    """Choose how grave it is; its alerts no longer raise it."""
    if severity not in Incident.Severity.values:
        message = f"One of {', '.join(Incident.Severity.values)}."
        raise InvalidInputError(message, errors={"severity": [message]})
    incident = _locked(incident_id)
    before = incident.severity
    if before == severity:
        return incident
    is_held = incident.state == _State.ACKNOWLEDGED and severity == Incident.Severity.CRITICAL
    _set(
        incident,
        severity=severity,
        severity_is_set=True,
        acknowledged_until=timezone.now() + HOLDS if is_held else None,
    )
    text = f"From {before} to {severity}."
    tell(incident, _Kind.SEVERITY, actor=actor, text=text)
    record(
        actor=actor,
        action="incident.severity_set",
        target=incident,
        before={"severity": before},
        after={"severity": severity},
    )
    is_open = incident.state not in {_State.RESOLVED, _State.CLOSED}
    if is_open:
        _announce(incident, actor=actor, status="firing", title=incident.title, body=text)
    return incident


@audited
def set_owner(*, actor: Actor, incident_id: int, owner: str | None) -> Incident:
    """Say by name who takes care, or that nobody does."""
    person = None
    if owner:
        person = get_user_model().objects.filter(username=owner, is_active=True).first()
        if person is None:
            message = "There is no active account of this name."
            raise InvalidInputError(message, errors={"owner": [message]})
    incident = _locked(incident_id)
    before = incident.owner
    if before == person:
        return incident
    _set(incident, owner=person)
    tell(incident, _Kind.OWNER, actor=actor, text=f"{person or 'Nobody'}.")
    record(
        actor=actor,
        action="incident.owner_set",
        target=incident,
        before={"owner": str(before or "")},
        after={"owner": str(person or "")},
    )
    return incident


@audited
def add_note(*, actor: Actor, incident_id: int, text: str) -> IncidentEvent:
    """Add a note to the timeline, also after the end."""
    incident = _get(incident_id)
    event = tell(incident, _Kind.NOTE, actor=actor, text=_written(text, "text"))
    record(actor=actor, action="incident.noted", target=incident)
    return event


@audited
def publish_update(*, actor: Actor, incident_id: int, text: str) -> IncidentEvent:
    """Add what strangers read on the status page."""
    incident = _get(incident_id)
    event = tell(incident, _Kind.UPDATE, actor=actor, text=_written(text, "text"))
    record(actor=actor, action="incident.update_published", target=incident)
    return event


@audited
def set_public(*, actor: Actor, incident_id: int, is_public: bool) -> Incident:
    """Show the incident on the status page, or hide it there."""
    incident = _locked(incident_id)
    if incident.is_public != is_public:
        _set(incident, is_public=is_public)
        record(
            actor=actor,
            action="incident.published" if is_public else "incident.hidden",
            target=incident,
        )
    return incident


@audited
def write_post_mortem(*, actor: Actor, incident_id: int, text: str) -> Incident:
    """Keep what was learned; an empty text takes it away."""
    text = text.replace("\r\n", "\n").strip()
    if len(text) > MAX_POST_MORTEM or text != storable(text, limit=MAX_POST_MORTEM):
        message = f"Write at most {MAX_POST_MORTEM} printable characters."
        raise InvalidInputError(message, errors={"post_mortem": [message]})
    incident = _locked(incident_id)
    if incident.post_mortem != text:
        _set(incident, post_mortem=text)
        tell(incident, _Kind.POST_MORTEM, actor=actor, text="Written." if text else "Removed.")
        record(actor=actor, action="incident.post_mortem_written", target=incident)
    return incident


@audited
def update(*, actor: Actor, incident_id: int, **fields: Unpack[IncidentFields]) -> Incident:
    """Change several things at once, all or none."""
    incident = _get(incident_id)
    if "severity" in fields:
        severity = fields["severity"]
        incident = set_severity(actor=actor, incident_id=incident_id, severity=severity)
    if "owner" in fields:
        incident = set_owner(actor=actor, incident_id=incident_id, owner=fields["owner"])
    if "is_public" in fields:
        is_public = fields["is_public"]
        incident = set_public(actor=actor, incident_id=incident_id, is_public=is_public)
    if "post_mortem" in fields:
        text = fields["post_mortem"]
        incident = write_post_mortem(actor=actor, incident_id=incident_id, text=text)
    return incident


@audited
def open_own(*, actor: Actor, key: str, title: str, detail: str) -> Incident | None:
    """Open an incident of the platform itself, such as a damaged log; None if it is open already.

    Nothing recovers by itself here: a person resolves it.
    """
    alert = alerts.fire(
        actor=actor,
        rule=PLATFORM,
        key={"what": key},
        title=title,
        detail=detail,
        at=timezone.now(),
        service=None,
    )
    return alert.incident if alert.count == 1 else None


def _holding(incident: Incident) -> list[Alert]:
    return list(incident.alerts.exclude(state=Alert.State.RESOLVED).order_by("pk"))


def _end_for_good(alert: Alert) -> None:
    Alert.objects.filter(pk=alert.pk, state=Alert.State.FIRING).update(
        state=Alert.State.RESOLVED, ends_at=max(timezone.now(), alert.starts_at)
    )


def _resolved_title(incident: Incident) -> str:
    found = incident.alerts.select_related("service", "check_of").defer("check_of__headers")
    first = found.order_by("pk").first()
    if first is None or first.rule == PLATFORM.name:
        return f"Resolved: {incident.title}"
    return f"{alerts.name_of(first)} {BY_HAND}"


def _announce(incident: Incident, *, actor: Actor, status: str, title: str, body: str) -> None:
    first = incident.alerts.order_by("pk").first()
    rule = RULES.get(first.rule) if first is not None else None
    kind = rule.kind if rule is not None else "reliability.incident"
    announce(incident, actor=actor, kind=kind, status=status, title=title, body=body)


def _move(incident: Incident, before: list[str], after: str, **fields: Any) -> None:  # noqa: ANN401  # columns
    """Take one step, if the incident still stands where it may begin."""
    moved = Incident.objects.filter(pk=incident.pk, state__in=before).update(state=after, **fields)
    incident.refresh_from_db()
    if not moved:
        message = f"The incident is {incident.get_state_display().lower()} already."
        raise InvalidTransitionError(message)


def _set(incident: Incident, **fields: Any) -> None:  # noqa: ANN401  # columns
    Incident.objects.filter(pk=incident.pk).update(**fields)
    incident.refresh_from_db()


def _locked(incident_id: int) -> Incident:
    of_service = Incident.objects.filter(pk=incident_id).values_list("service", flat=True)
    turns.take(of_service.first())
    return _found(Incident.objects.select_for_update(of=("self",)), incident_id)


def _get(incident_id: int) -> Incident:
    return _found(Incident.objects.all(), incident_id)


def _found(rows: Any, incident_id: int) -> Incident:  # noqa: ANN401  # a queryset
    found = rows.select_related("service", "owner", "check_of__service")
    incident: Incident | None = found.defer("check_of__headers").filter(pk=incident_id).first()
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
