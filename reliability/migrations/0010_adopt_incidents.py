"""Give open incidents of one check each their alerts, and gather them by service."""

import hashlib
import json

from django.db import migrations
from django.utils import timezone

_CHECK = "reliability.check_down:"
_PLATFORM = "platform.security:"


def _fingerprint(rule, key):
    told = json.dumps([rule, sorted(key.items())], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def adopt(apps, schema_editor):
    Incident = apps.get_model("reliability", "Incident")
    is_open = Incident.objects.filter(state__in=["triggered", "acknowledged"]).order_by("pk")
    for incident in is_open.filter(dedup_key__startswith=_PLATFORM):
        what = incident.dedup_key.removeprefix(_PLATFORM)
        _raise(apps, incident, "platform", {"what": what})
    first = {}
    for incident in is_open.filter(dedup_key__startswith=_CHECK, check_of__isnull=False):
        key = f"availability:{incident.service_id or 0}"
        kept = first.setdefault(key, incident)
        _raise(apps, kept, "check_down", {"check": str(incident.check_of_id)}, incident)
        if kept is incident:
            Incident.objects.filter(pk=incident.pk).update(dedup_key=key)
        else:
            _gather(apps, incident, kept)
    _keep_settled(apps)


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
    """End an incident whose alert is one of another incident now."""
    apps.get_model("reliability", "Incident").objects.filter(pk=incident.pk).update(
        state="resolved", resolved_at=timezone.now()
    )
    apps.get_model("reliability", "IncidentEvent").objects.create(
        incident_id=incident.pk,
        kind="resolved",
        actor_kind="system",
        actor_name="OpsPlatform",
        text=f"It goes on as a part of incident {kept.pk}: {kept.title}.",
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
    dependencies = [("reliability", "0009_default_objectives")]

    operations = [migrations.RunPython(adopt, migrations.RunPython.noop, elidable=True)]
