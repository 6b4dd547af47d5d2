"""Give open incidents of one check each their alerts, and gather them by service."""

import hashlib
import json
from datetime import timedelta

from django.db import migrations
from django.db.models import CharField, Max, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone

_CHECK = "reliability.check_down:"
_PLATFORM = "platform.security:"
_SEVERITIES = ("info", "warning", "critical")
_HOLDS = timedelta(minutes=30)


def _fingerprint(rule, key):
    told = json.dumps([rule, sorted(key.items())], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def adopt(apps, schema_editor):
    Incident = apps.get_model("reliability", "Incident")
    is_open = Incident.objects.filter(state__in=["triggered", "acknowledged"]).order_by("pk")
    for incident in is_open.filter(dedup_key__startswith=_PLATFORM):
        what = incident.dedup_key.removeprefix(_PLATFORM)
        _keep_told(apps, incident)
        _raise(apps, incident, "platform", {"what": what})
    members = {}
    for incident in is_open.filter(dedup_key__startswith=_CHECK, check_of__isnull=False):
        members.setdefault(f"availability:{incident.service_id or 0}", []).append(incident)
    for key, found in members.items():
        kept = found[0]
        for incident in found:
            key_of_check = {"check": str(incident.check_of_id)}
            _keep_told(apps, incident)
            _raise(apps, kept, "check_down", key_of_check, incident)
        Incident.objects.filter(pk=kept.pk).update(dedup_key=key, **_standing(found))
        for incident in found[1:]:
            _gather(apps, incident, kept)
    for incident in is_open.filter(dedup_key__startswith=_CHECK):
        # Its check is gone: nothing tells its end but a person.
        _keep_told(apps, incident)
    _keep_settled(apps)
    _rename(Incident)


def _standing(found):
    """Return how one incident stands that was several: as the worst, and as nobody cares for."""
    severity = max((incident.severity for incident in found), key=_SEVERITIES.index)
    if any(incident.state == "triggered" for incident in found):
        return {"severity": severity, "state": "triggered", "acknowledged_at": None}
    until = timezone.now() + _HOLDS if severity == "critical" else None
    return {"severity": severity, "acknowledged_until": until}


def _keep_told(apps, incident):
    """Let what is told of it from now on follow what was told before, for whoever receives it."""
    told = apps.get_model("notifications", "Event").objects.filter(dedup_key=incident.dedup_key)
    state = apps.get_model("reliability", "CheckState").objects.filter(pk=incident.check_of_id)
    last = told.aggregate(last=Max("transition_seq"))["last"] or 0
    incident.outbox_key = incident.dedup_key
    incident.seq = max([last, *state.values_list("alert_seq", flat=True)])
    incident.save(update_fields=["outbox_key", "seq"])


def _rename(Incident):
    """Give all others, too, the keys by which pages and later outages look for them."""
    rows = Incident.objects.filter(dedup_key__startswith=_CHECK, service__isnull=False)
    over = rows.filter(state__in=["resolved", "closed"])
    over.update(dedup_key=Concat(Value("availability:"), Cast("service_id", CharField())))


def _raise(apps, incident, rule, key, source=None):
    source = source or incident
    apps.get_model("reliability", "Alert").objects.create(
        fingerprint=_fingerprint(rule, key),
        rule=rule,
        severity=source.severity,
        title=source.title,
        detail=source.detail,
        labels={"failure": source.failure} if source.failure else {},
        service_id=source.service_id,
        check_of_id=source.check_of_id,
        incident_id=incident.pk,
        is_told=True,
        starts_at=source.started_at,
    )


def _gather(apps, incident, kept):
    """End an incident whose alert is one of another incident now, and tell whoever was told."""
    text = f"It goes on as a part of incident {kept.pk}: {kept.title}."
    incident.state, incident.resolved_at = "resolved", timezone.now()
    incident.acknowledged_until = None
    incident.seq += 1
    incident.save(update_fields=["state", "resolved_at", "acknowledged_until", "seq"])
    apps.get_model("reliability", "IncidentEvent").objects.create(
        incident_id=incident.pk,
        kind="resolved",
        actor_kind="system",
        actor_name="OpsPlatform",
        text=text,
    )
    apps.get_model("notifications", "Event").objects.create(
        kind="reliability.check_down",
        severity=incident.severity,
        status="resolved",
        dedup_key=incident.outbox_key,
        transition_seq=incident.seq,
        title=f"Goes on in another incident: {incident.title}"[:300],
        body=text,
        service=incident.service_name,
        raised_by="OpsPlatform",
    )


def _keep_settled(apps):
    """What somebody ended by hand stays ended until the check was up."""
    Incident = apps.get_model("reliability", "Incident")
    settled = apps.get_model("reliability", "CheckState").objects.filter(settled=True)
    for check_id in settled.values_list("pk", flat=True):
        found = Incident.objects.filter(check_of=check_id, dedup_key__startswith=_CHECK)
        incident = found.filter(state="resolved").order_by("-pk").first()
        if incident is not None:
            _raise(apps, incident, "check_down", {"check": str(check_id)})
            Incident.objects.filter(pk=incident.pk).update(by_hand=True)


class Migration(migrations.Migration):
    dependencies = [
        ("reliability", "0009_default_objectives"),
        ("notifications", "0002_live_feed"),
    ]

    operations = [migrations.RunPython(adopt, migrations.RunPython.noop, elidable=True)]
