"""Raise alerts and end them, in the transaction of whatever found out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from django.db import connection, transaction
from django.db.models import Value
from django.db.models.fields import DateTimeField
from django.db.models.functions import Greatest
from django.utils import timezone

from core.masking import mask
from notifications.engine.base import storable
from notifications.services.emit import emit
from reliability.engine.rules import CHECK_FLAPPING, RULES, fingerprint, worst
from reliability.models import Alert
from reliability.services import gathering, inhibition, turns
from reliability.services.timeline import OWN_NAME, labels_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from django.db.models import QuerySet

    from core.actors import Actor
    from reliability.engine.rules import Rule
    from reliability.models import SLO, Check, Service

BATCH: Final = 500
"""How many suppressed alerts are looked at in one turn."""

# What a budget says of itself when nothing is left of it.
_SPENT: Final = "exhausted"

# Django cannot name a partial index as what an INSERT conflicts with.
_RAISE: Final = """
INSERT INTO reliability_alert (
    fingerprint, rule, severity, state, title, detail, labels, service_id, check_id, slo_id,
    suppressed_by, is_told, count, starts_at, last_seen_at
) VALUES (%s, %s, %s, 'firing', %s, %s, %s, %s, %s, %s, '', %s, 1, %s, %s)
ON CONFLICT (fingerprint) WHERE NOT (state = 'resolved')
DO UPDATE SET count = reliability_alert.count + 1, last_seen_at = excluded.last_seen_at,
    severity = excluded.severity, title = excluded.title, detail = excluded.detail,
    labels = excluded.labels
RETURNING id, count
"""


def fire(
    *,
    actor: Actor,
    rule: Rule,
    key: Mapping[str, str],
    title: str,
    detail: str,
    at: datetime,
    service: Service | None,
    check: Check | None = None,
    slo: SLO | None = None,
    severity: str = "",
    labels: Mapping[str, str] | None = None,
    excerpt: str = "",
    failure: str = "",
) -> Alert:
    """Raise an alert, or count it once more if it holds already; `at` is when it began.

    The database allows one open alert for a rule and key. It opens, opens again or joins an
    incident, and people are told, again if it has become worse since. If a parent, maintenance or
    flapping explains it, it is kept with that reason until `release` finds that it has gone.
    Runs in the caller's transaction.
    """
    now = timezone.now()
    told = dict(labels or {}) | ({"failure": failure} if failure else {})
    adapt = connection.ops.adapt_datetimefield_value
    turns.take(service.pk if service is not None else None)
    before = _open_alerts().filter(fingerprint=fingerprint(rule, key)).first()
    with connection.cursor() as cursor:
        cursor.execute(
            _RAISE,
            [
                fingerprint(rule, key),
                rule.name,
                severity or rule.severity,
                storable(title, limit=300),
                storable(mask(detail), limit=1_000),
                json.dumps(told),
                service.pk if service is not None else None,
                check.pk if check is not None else None,
                slo.pk if slo is not None else None,
                False,
                adapt(at),
                adapt(now),
            ],
        )
        alert_id, count = cursor.fetchone()
    alert = Alert.objects.get(pk=alert_id)
    alert.check_of, alert.service, alert.slo = check, service, slo
    if count > 1:
        if before is not None and _is_worse(alert, before):
            _tell_worse(alert, actor=actor, rule=rule, key=key, failure=failure)
        return alert
    why = inhibition.reasons([alert], now=now).get(alert.pk, "")
    if why:
        Alert.objects.filter(pk=alert.pk).update(suppressed_by=why)
        alert.suppressed_by = why
        return alert
    _tell(alert, actor=actor, rule=rule, key=key, excerpt=excerpt, failure=failure)
    return alert


def resolve(
    *, actor: Actor, rule: Rule, key: Mapping[str, str], at: datetime, text: str, what: str = ""
) -> Alert | None:
    """End the alert of a rule and key, if it holds; its incident ends with its last alert.

    `what` follows the name of the check or service in the title of the message. Runs in the
    caller's transaction.
    """
    held = _open_alerts().filter(fingerprint=fingerprint(rule, key)).first()
    if held is None:
        return None
    return end(held, actor=actor, at=at, text=text, what=what)


def end(alert: Alert, *, actor: Actor, at: datetime, text: str, what: str = "") -> Alert | None:
    """End one alert; None if somebody else has."""
    turns.take(alert.service_id)
    ended = Alert.objects.filter(pk=alert.pk, state=Alert.State.FIRING).update(
        state=Alert.State.RESOLVED,
        # Clocks of two machines may differ.
        ends_at=Greatest("starts_at", Value(at, DateTimeField())),
    )
    if not ended:
        return None
    alert.refresh_from_db(fields=["state", "ends_at", "incident"])
    if alert.rule == CHECK_FLAPPING.name:
        # What it kept back and still holds goes on with the incident.
        _reconsider(_open_alerts().filter(check_of=alert.check_of_id), actor=actor)
    title = f"{name_of(alert)} {what}" if what else f"Resolved: {alert.title}"
    gathering.let_go(alert, actor=actor, text=text, title=title)
    return alert


def end_all(*, actor: Actor, check: Check, what: str, text: str) -> int:
    """End every alert of a check that is no longer asked; return how many."""
    now = timezone.now()
    held = list(_open_alerts().filter(check_of=check))
    for alert in held:
        end(alert, actor=actor, at=now, text=text, what=what)
    return len(held)


def release(*, actor: Actor) -> int:
    """Tell suppressed alerts whose reason has gone and that still hold; return how many.

    Also tells what waits to be told together. Each in a transaction of its own.
    """
    count = 0
    last = 0
    while True:
        held = list(_open_alerts().filter(pk__gt=last).exclude(suppressed_by="")[:BATCH])
        if not held:
            break
        last = held[-1].pk
        count += _reconsider(held, actor=actor)
    return count + gathering.tell_waiting(actor=actor)


def name_of(alert: Alert) -> str:
    """Return what an alert is about, as titles name it."""
    check, service = alert.check_of, alert.service
    if check is not None and service is not None and check.name:
        return f"{service.name} ({check.name})"
    return service.name if service is not None else OWN_NAME


def _reconsider(held: Iterable[Alert], *, actor: Actor) -> int:
    kept = [alert for alert in held if alert.suppressed_by]
    reasons = inhibition.reasons(kept)
    count = 0
    for alert in kept:
        why = reasons.get(alert.pk, "")
        if why != alert.suppressed_by:
            count += _let_out(alert, actor=actor, why=why)
    return count


@transaction.atomic
def _let_out(alert: Alert, *, actor: Actor, why: str) -> bool:
    """Write another reason, or tell the alert; False if it was not told."""
    turns.take(alert.service_id)
    changed = Alert.objects.filter(
        pk=alert.pk, state=Alert.State.FIRING, suppressed_by=alert.suppressed_by
    ).update(suppressed_by=why)
    rule = RULES.get(alert.rule)
    if not changed or why or rule is None:
        return False
    alert.suppressed_by = ""
    failure = alert.labels.get("failure", "")
    # A rule that does not recover is never suppressed: the others need no key.
    _tell(alert, actor=actor, rule=rule, key={}, excerpt="", failure=failure)
    return True


def _is_worse(alert: Alert, before: Alert) -> bool:
    is_graver = worst(before.severity, alert.severity) != before.severity
    return is_graver or _SPENT == alert.labels.get("state") != before.labels.get("state")


def _tell_worse(
    alert: Alert, *, actor: Actor, rule: Rule, key: Mapping[str, str], failure: str
) -> None:
    if alert.incident is not None:
        gathering.renew(alert.incident.pk, alert, actor=actor, rule=rule)
    elif alert.is_told:
        _tell(alert, actor=actor, rule=rule, key=key, excerpt="", failure=failure)


def _tell(
    alert: Alert, *, actor: Actor, rule: Rule, key: Mapping[str, str], excerpt: str, failure: str
) -> None:
    if alert.severity != Alert.Severity.INFO:
        gathering.gather(alert, actor=actor, rule=rule, key=key, excerpt=excerpt, failure=failure)
        return
    Alert.objects.filter(pk=alert.pk).update(is_told=True)
    emit(
        actor=actor,
        kind=rule.kind,
        severity=alert.severity,
        status="info",
        dedup_key=f"alert:{alert.pk}",
        transition_seq=0,
        title=alert.title,
        body=alert.detail,
        service=alert.service.name if alert.service else OWN_NAME,
        labels=labels_of(alert.service, alert.check_of, failure) | alert.labels,
    )


def _alerts() -> QuerySet[Alert]:
    found = Alert.objects.select_related("service", "check_of__service", "slo", "incident")
    # Headers need not even unseal.
    return found.defer("check_of__headers")


def _open_alerts() -> QuerySet[Alert]:
    return _alerts().exclude(state=Alert.State.RESOLVED).order_by("pk")
