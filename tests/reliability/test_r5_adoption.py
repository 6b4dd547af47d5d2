import importlib
from datetime import timedelta

import pytest
from django.apps import apps
from django.utils import timezone

from core.errors import InvalidTransitionError
from notifications.models import Event
from reliability.models import Alert, Incident, IncidentEvent
from reliability.services import check_alerts, incidents

pytestmark = pytest.mark.django_db

adoption = importlib.import_module("reliability.migrations.0010_adopt_incidents")


class Earlier:
    """The tables as the migration finds them; `settled` is the checks ended by hand."""

    def __init__(self, *settled):
        self.settled = settled

    def get_model(self, app, name):
        return self if name == "CheckState" else apps.get_model(app, name)

    @property
    def objects(self):
        return self

    def filter(self, **_):
        return self

    def values_list(self, *_, **__):
        return self.settled


@pytest.fixture
def old(make_check):
    """Return a function that makes an incident as they were: one of each check."""

    def make(check=None, **fields):
        values = {
            "check_of": check,
            "service": check.service if check else None,
            "service_name": check.service.name if check else "OpsPlatform",
            "title": f"{check} is down",
            "dedup_key": f"reliability.check_down:{check.pk}" if check else "",
            "failure": "status",
            "detail": "HTTP 503",
            "started_at": timezone.now(),
        }
        return Incident.objects.create(**{**values, **fields})

    return make


def test_an_open_incident_gets_its_alert_and_ends_with_the_check(old, make_check, see, operator):
    check = make_check()
    incident = old(check, state="acknowledged", acknowledged_at=timezone.now())

    adoption.adopt(Earlier(), None)

    incident.refresh_from_db()
    assert incident.dedup_key == f"availability:{check.service_id}"
    alert = Alert.objects.get()
    assert (alert.incident, alert.check_of, alert.state, alert.is_told) == (
        incident,
        check,
        "firing",
        True,
    )
    check_alerts.came_up(actor=operator, check=check, since=timezone.now())
    incident.refresh_from_db()
    assert incident.state == "resolved"
    assert Event.objects.get().status == "resolved"


def test_several_of_a_service_become_one(old, make_service, make_check):
    service = make_service()
    kept, other = (old(make_check(service=service)) for _ in range(2))

    adoption.adopt(Earlier(), None)

    other.refresh_from_db()
    assert (other.state, other.resolved_at is not None) == ("resolved", True)
    assert list(Alert.objects.values_list("incident", flat=True)) == [kept.pk, kept.pk]
    assert f"incident {kept.pk}" in IncidentEvent.objects.get(incident=other).text


def test_what_was_ended_by_hand_stays_ended(old, make_check, observe, see, operator):
    check = make_check()
    old(check, state="resolved", resolved_at=timezone.now())

    adoption.adopt(Earlier(check.pk), None)
    see(check, False, False)

    assert Incident.objects.get().state == "resolved"
    assert Event.objects.count() == 0


def test_troubles_of_the_platform_are_still_open_once(old, operator):
    old(dedup_key="platform.security:audit-damaged", title="Damaged")

    adoption.adopt(Earlier(), None)

    assert incidents.open_own(actor=operator, key="audit-damaged", title="x", detail="y") is None
    assert Incident.objects.get().state == "triggered"


def test_what_is_over_is_left_alone(old, make_check):
    old(make_check(), state="resolved", resolved_at=timezone.now())

    adoption.adopt(Earlier(), None)

    assert Alert.objects.count() == 0


def test_the_end_is_told_under_the_key_of_its_beginning(old, make_check, operator):
    check = make_check()
    incident = old(check)
    key = incident.dedup_key
    Event.objects.create(
        kind="reliability.check_down",
        severity="critical",
        status="firing",
        dedup_key=key,
        transition_seq=7,
        title="down",
        raised_by="test",
    )

    adoption.adopt(Earlier(), None)
    check_alerts.came_up(actor=operator, check=check, since=timezone.now())

    found = Event.objects.order_by("pk").values_list("dedup_key", "transition_seq", "status")
    assert list(found) == [(key, 7, "firing"), (key, 8, "resolved")]


def test_what_is_gathered_is_told_to_be_over(old, make_service, make_check, operator):
    service = make_service()
    kept, other = (old(make_check(service=service)) for _ in range(2))

    adoption.adopt(Earlier(), None)

    event = Event.objects.get()
    key = f"reliability.check_down:{other.check_of_id}"
    assert (event.dedup_key, event.transition_seq, event.status) == (key, 1, "resolved")
    assert event.title == f"Goes on in another incident: {other.title}"
    assert event.body == f"It goes on as a part of incident {kept.pk}: {kept.title}."


def test_troubles_of_the_platform_end_under_their_key(old, operator):
    incident = old(dedup_key="platform.security:audit-damaged", title="Damaged")

    adoption.adopt(Earlier(), None)
    incidents.resolve(actor=operator, incident_id=incident.pk, reason="Mended.")

    event = Event.objects.get()
    assert (event.dedup_key, event.status) == ("platform.security:audit-damaged", "resolved")


def test_several_are_as_grave_as_the_worst_and_as_open(old, make_service, make_check):
    service = make_service()
    now = timezone.now()
    mild = {"state": "acknowledged", "acknowledged_at": now, "severity": "warning"}
    kept = old(make_check(service=service), **mild)
    old(make_check(service=service))

    adoption.adopt(Earlier(), None)

    kept.refresh_from_db()
    assert (kept.state, kept.severity, kept.acknowledged_at) == ("triggered", "critical", None)


def test_an_acknowledgement_of_before_runs_out_too(old, make_check):
    now = timezone.now()
    grave = old(make_check(), state="acknowledged", acknowledged_at=now)
    mild = old(make_check(), state="acknowledged", acknowledged_at=now, severity="warning")

    adoption.adopt(Earlier(), None)

    grave.refresh_from_db()
    mild.refresh_from_db()
    assert (grave.state, mild.state) == ("acknowledged", "acknowledged")
    assert now < grave.acknowledged_until < now + timedelta(minutes=31)
    assert mild.acknowledged_until is None


def test_history_of_before_stands_beside_what_comes(old, make_check, see, operator):
    check = make_check()
    past = old(check, state="resolved", resolved_at=timezone.now() - timedelta(days=1))
    lost = old(make_check(), service=None, state="resolved", resolved_at=timezone.now())

    adoption.adopt(Earlier(), None)

    past.refresh_from_db()
    lost.refresh_from_db()
    assert past.dedup_key == f"availability:{check.service_id}"
    assert lost.dedup_key.startswith("reliability.check_down:")
    see(check, False, False)
    with pytest.raises(InvalidTransitionError, match="A newer incident is open"):
        incidents.reopen(actor=operator, incident_id=past.pk, reason="x")


def test_what_ended_just_before_opens_again(old, make_check, see):
    check = make_check()
    past = old(check, state="resolved", resolved_at=timezone.now())

    adoption.adopt(Earlier(), None)
    see(check, False, False)

    past.refresh_from_db()
    assert (past.state, past.reopened) == ("triggered", 1)
