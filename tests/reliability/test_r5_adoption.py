import importlib

import pytest
from django.apps import apps
from django.utils import timezone

from notifications.models import Event
from reliability.models import Alert, Incident, IncidentEvent
from reliability.services import check_alerts

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
    from reliability.services import incidents

    old(dedup_key="platform.security:audit-damaged", title="Damaged")

    adoption.adopt(Earlier(), None)

    assert incidents.open_own(actor=operator, key="audit-damaged", title="x", detail="y") is None
    assert Incident.objects.get().state == "triggered"


def test_what_is_over_is_left_alone(old, make_check):
    old(make_check(), state="resolved", resolved_at=timezone.now())

    adoption.adopt(Earlier(), None)

    assert Alert.objects.count() == 0
