"""Gather alerts into incidents: the first opens one, the last that ends resolves it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from audit.services.records import record
from notifications.services import acknowledgements
from reliability.engine.rules import RULES, incident_key, worst
from reliability.models import Alert, Incident, IncidentEvent
from reliability.models.incidents import IS_OVER
from reliability.selectors import changes, maintenance
from reliability.selectors.bars import span
from reliability.services import answers, turns
from reliability.services.timeline import OWN_NAME, announce, outbox_key, tell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from django.db.models import QuerySet

    from core.actors import Actor
    from reliability.engine.rules import Rule

APART: Final = timedelta(minutes=2)
"""Further alerts of an incident are told together, at most this often."""
LOOKS_BACK: Final = timedelta(hours=1)
"""What changed so long before an incident may explain it."""
LISTED: Final = 10
"""How many alerts one message names."""

_MICROSECONDS: Final = 1_000_000


def gather(
    alert: Alert, *, actor: Actor, rule: Rule, key: Mapping[str, str], excerpt: str, failure: str
) -> Incident:
    """Put an alert into the incident it belongs to, which opens or opens again if it must."""
    dedup_key = incident_key(rule, key, alert.service_id)
    while True:
        incident = _open_one(dedup_key)
        if incident is not None:
            _join(incident, alert, actor=actor, rule=rule)
            return incident
        incident = _recent_one(dedup_key, rule, alert)
        if incident is not None:
            _open_again(incident, alert, actor=actor, rule=rule)
            return incident
        try:
            # Another transaction may open the same one: the database allows one.
            with transaction.atomic():
                incident = _create(dedup_key, alert, excerpt=excerpt, failure=failure)
        except IntegrityError:
            continue
        _told_opening(incident, alert, actor=actor, rule=rule)
        return incident


def let_go(alert: Alert, *, actor: Actor, text: str, title: str) -> None:
    """Resolve the incident of an alert that has ended, if it was the last one that held."""
    incident = _locked(alert.incident_id)
    if incident is None:
        return
    remain = _holding(incident).count()
    is_over = incident.state in {Incident.State.RESOLVED, Incident.State.CLOSED}
    if is_over:
        if not remain and incident.by_hand:
            # The next outage opens it again.
            Incident.objects.filter(pk=incident.pk).update(by_hand=False)
        return
    if remain:
        told = f"{title}. {text}" if text else f"{title}."
        tell(incident, IncidentEvent.Kind.ALERT, actor=actor, text=told)
        return
    Incident.objects.filter(pk=incident.pk).exclude(IS_OVER).update(
        state=Incident.State.RESOLVED, resolved_at=timezone.now(), acknowledged_until=None
    )
    incident.refresh_from_db()
    body = f"{text} {lasted(alert)}".strip()
    tell(incident, IncidentEvent.Kind.RESOLVED, actor=actor, text=body)
    record(actor=actor, action="incident.resolved", target=incident, reason=text)
    announce(
        incident,
        actor=actor,
        kind=RULES[alert.rule].kind,
        status="resolved",
        title=title,
        body=body,
        alert=alert,
    )


def lasted(alert: Alert) -> str:
    """Return for how long an alert held, in words."""
    end = alert.ends_at or timezone.now()
    length = span(max(0, round((end - alert.starts_at).total_seconds())) * _MICROSECONDS)
    is_outage = RULES[alert.rule].group == "availability"
    return f"It was down for {length}." if is_outage else f"It lasted {length}."


def tell_waiting(*, actor: Actor) -> int:
    """Tell further alerts of open incidents together; return of how many."""
    now = timezone.now()
    waiting = sorted(
        Alert.objects.exclude(state=Alert.State.RESOLVED)
        .filter(is_told=False, suppressed_by="", incident__told_at__lte=now - APART)
        .values_list("incident", "incident__service")
        .distinct(),
        key=lambda row: row[0],
    )
    # It may have begun since they joined; what holds after it is told then.
    quiet = maintenance.holds_for({service_id for _, service_id in waiting if service_id}, at=now)
    count = 0
    for incident_id, service_id in waiting:
        if service_id not in quiet:
            with transaction.atomic():
                count += _tell_together(incident_id, service_id, actor=actor)
    return count


def _tell_together(incident_id: int, service_id: int | None, *, actor: Actor) -> int:
    turns.take(service_id)
    incident = _locked(incident_id)
    if incident is None:
        return 0
    alerts = list(_holding(incident).filter(is_told=False).order_by("pk"))
    if not alerts or incident.told_at is None or incident.told_at > timezone.now() - APART:
        return 0
    Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(is_told=True)
    if incident.state in {Incident.State.RESOLVED, Incident.State.CLOSED}:
        return 0
    lines = [alert.title for alert in alerts[:LISTED]]
    if len(alerts) > LISTED:
        lines.append(f"and {len(alerts) - LISTED} more")
    single = len(alerts) == 1
    announce(
        incident,
        actor=actor,
        kind=RULES[alerts[0].rule].kind,
        status="firing",
        title=alerts[0].title if single else f"{incident.service_name}: {len(alerts)} more alerts",
        body=alerts[0].detail if single else "\n".join(lines),
        alert=alerts[0] if single else None,
    )
    return len(alerts)


def _open_one(dedup_key: str) -> Incident | None:
    found = Incident.objects.select_for_update().exclude(IS_OVER).filter(dedup_key=dedup_key)
    return found.first()


def _recent_one(dedup_key: str, rule: Rule, alert: Alert) -> Incident | None:
    since = max(alert.starts_at, alert.last_seen_at) - timedelta(seconds=rule.reopens_seconds)
    return (
        Incident.objects.select_for_update()
        .filter(
            dedup_key=dedup_key,
            state=Incident.State.RESOLVED,
            by_hand=False,
            resolved_at__gte=since,
        )
        .order_by("-pk")
        .first()
    )


def _locked(incident_id: int | None) -> Incident | None:
    if incident_id is None:
        return None
    return Incident.objects.select_for_update().filter(pk=incident_id).first()


def _holding(incident: Incident) -> QuerySet[Alert]:
    return incident.alerts.exclude(state=Alert.State.RESOLVED)


def _create(dedup_key: str, alert: Alert, *, excerpt: str, failure: str) -> Incident:
    return Incident.objects.create(
        check_of=alert.check_of,
        service=alert.service,
        service_name=alert.service.name if alert.service else OWN_NAME,
        title=alert.title,
        dedup_key=dedup_key,
        severity=alert.severity,
        failure=failure,
        detail=answers.detail(alert.detail),
        excerpt=answers.kept(excerpt),
        started_at=alert.starts_at,
    )


def _told_opening(incident: Incident, alert: Alert, *, actor: Actor, rule: Rule) -> None:
    _attach(alert, incident, is_told=True)
    text = _opening(alert)
    tell(incident, IncidentEvent.Kind.OPENED, actor=actor, text=text)
    _attach_changes(incident, alert.starts_at - LOOKS_BACK, alert.starts_at)
    record(actor=actor, action="incident.opened", target=incident, failure=incident.failure)
    announce(
        incident,
        actor=actor,
        kind=rule.kind,
        status="firing",
        title=incident.title,
        body=text,
        alert=alert,
    )


def _open_again(incident: Incident, alert: Alert, *, actor: Actor, rule: Rule) -> None:
    ended_at = incident.resolved_at or alert.starts_at
    Incident.objects.filter(pk=incident.pk, state=Incident.State.RESOLVED).update(
        state=Incident.State.TRIGGERED,
        resolved_at=None,
        mitigated_at=None,
        # Nobody has acknowledged this time yet.
        acknowledged_at=None,
        acknowledged_until=None,
        reopened=F("reopened") + 1,
        severity=_severity(incident, alert),
    )
    incident.refresh_from_db()
    _attach(alert, incident, is_told=True)
    text = f"{alert.title}. {_opening(alert)}"
    tell(incident, IncidentEvent.Kind.REOPENED, actor=actor, text=text)
    start = max(ended_at, alert.starts_at - LOOKS_BACK)
    _attach_changes(incident, start, max(start, alert.starts_at))
    record(actor=actor, action="incident.reopened", target=incident, reason=alert.title)
    announce(
        incident,
        actor=actor,
        kind=rule.kind,
        status="firing",
        title=f"Again: {alert.title}",
        body=_opening(alert),
        alert=alert,
    )


def _join(incident: Incident, alert: Alert, *, actor: Actor, rule: Rule) -> None:
    is_worse = _grow(incident, alert)
    is_first = incident.told_at is None or incident.told_at <= timezone.now() - APART
    is_told = is_worse or is_first
    _attach(alert, incident, is_told=is_told)
    tell(
        incident,
        IncidentEvent.Kind.ALERT,
        actor=actor,
        text=f"{alert.title}. {_opening(alert)}",
    )
    if is_told:
        announce(
            incident,
            actor=actor,
            kind=rule.kind,
            status="firing",
            title=alert.title,
            body=_opening(alert),
            alert=alert,
        )


def renew(incident_id: int, alert: Alert, *, actor: Actor, rule: Rule) -> None:
    """Tell at once that an alert of an open incident has become worse."""
    incident = _locked(incident_id)
    if incident is None or incident.state in {Incident.State.RESOLVED, Incident.State.CLOSED}:
        return
    _grow(incident, alert)
    _attach(alert, incident, is_told=True)
    text = _opening(alert)
    kind = IncidentEvent.Kind.ALERT
    tell(incident, kind, actor=actor, text=f"{alert.title}. {text}")
    announce(
        incident,
        actor=actor,
        kind=rule.kind,
        status="firing",
        title=alert.title,
        body=text,
        alert=alert,
    )


def _grow(incident: Incident, alert: Alert) -> bool:
    """Let an open incident follow an alert of it; return whether it is graver now."""
    severity = _severity(incident, alert)
    is_worse = severity != incident.severity
    fields: dict[str, object] = {"severity": severity} if is_worse else {}
    if incident.state == Incident.State.MITIGATED:
        # What was held to be over is not.
        fields |= {"state": Incident.State.TRIGGERED, "mitigated_at": None}
    if is_worse and incident.state == Incident.State.ACKNOWLEDGED:
        # Somebody takes care of something milder; of this, nobody has said so.
        fields |= {
            "state": Incident.State.TRIGGERED,
            "acknowledged_at": None,
            "acknowledged_until": None,
        }
    if fields:
        Incident.objects.filter(pk=incident.pk).update(**fields)
        incident.refresh_from_db()
    if "state" in fields:
        # The thread of its messages would make the sweep acknowledge it again.
        acknowledgements.withdraw(outbox_key(incident))
    return is_worse


def _severity(incident: Incident, alert: Alert) -> str:
    if incident.severity_is_set:
        return incident.severity
    return worst(incident.severity, alert.severity)


def _attach_changes(incident: Incident, start: datetime, end: datetime) -> None:
    """Put what may explain it into the timeline."""
    IncidentEvent.objects.bulk_create(
        IncidentEvent(
            incident=incident,
            at=change.at,
            kind=IncidentEvent.Kind.CHANGE,
            actor_kind=change.actor_kind,
            actor_name=change.actor_name[:200],
            text=change.text,
        )
        for change in changes.between(start, end, incident.service_id)
    )


def _attach(alert: Alert, incident: Incident, *, is_told: bool) -> None:
    alert.incident, alert.is_told = incident, is_told
    Alert.objects.filter(pk=alert.pk).update(incident=incident, is_told=is_told)


def _opening(alert: Alert) -> str:
    since = f"{alert.starts_at:%Y-%m-%d %H:%M:%S} UTC."
    began = "Failing since" if RULES[alert.rule].group == "availability" else "Since"
    told = f"{alert.detail.rstrip('.')}. " if alert.detail else ""
    return f"{told}{began} {since}"
