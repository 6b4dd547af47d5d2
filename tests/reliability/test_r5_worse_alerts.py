from datetime import timedelta

import pytest
from django.utils import timezone

from notifications.models import Event
from reliability.engine import rules
from reliability.models import Alert, Incident, MaintenanceOccurrence, MaintenanceWindow
from reliability.services import alerts, incidents

pytestmark = pytest.mark.django_db


@pytest.fixture
def service(make_service):
    return make_service("Shop")


@pytest.fixture
def fire(operator, service):
    def run(what="a", *, rule=rules.SLO_SLOW_BURN, **fields):
        given = {"title": f"Alert {what}", "detail": "Why.", "at": timezone.now(), **fields}
        return alerts.fire(actor=operator, rule=rule, key={"what": what}, service=service, **given)

    return run


@pytest.fixture
def acknowledged(fire, operator):
    """Return an incident of a warning that somebody takes care of."""
    fire()
    return incidents.acknowledge(actor=operator, incident_id=Incident.objects.get().pk)


def told():
    return list(Event.objects.order_by("pk").values_list("status", "severity", "title"))


def is_acknowledged():
    found = Incident.objects.get()
    return found.state, found.acknowledged_at, found.acknowledged_until


def test_what_is_graver_than_was_acknowledged_is_not_acknowledged(acknowledged, fire):
    fire("b", rule=rules.SLO_FAST_BURN)

    assert is_acknowledged() == ("triggered", None, None)
    assert Incident.objects.get().severity == "critical"
    assert told()[-1] == ("firing", "critical", "Alert b")


def test_more_of_the_same_stays_acknowledged(acknowledged, fire):
    fire("b")

    assert is_acknowledged()[0] == "acknowledged"


def test_a_severity_that_a_person_chose_keeps_the_acknowledgement(acknowledged, fire, operator):
    incidents.set_severity(actor=operator, incident_id=acknowledged.pk, severity="critical")

    fire("b", rule=rules.SLO_FAST_BURN)

    assert is_acknowledged()[0] == "acknowledged"
    assert is_acknowledged()[2] is not None


def test_an_alert_that_becomes_graver_is_told_again(fire):
    fire(severity="warning", labels={"state": "at_risk"})
    fire(severity="critical", title="Worse", labels={"state": "exhausted"})

    alert = Alert.objects.get()
    assert (alert.count, alert.severity, alert.title) == (2, "critical", "Worse")
    assert alert.labels == {"state": "exhausted"}
    assert Incident.objects.get().severity == "critical"
    assert told() == [("firing", "warning", "Alert a"), ("firing", "critical", "Worse")]


def test_a_budget_that_is_spent_is_told_once_though_no_graver(fire):
    fire(labels={"state": "at_risk"})
    fire(labels={"state": "exhausted"}, title="Nothing is left")
    fire(labels={"state": "exhausted"}, title="Nothing is left")
    fire(labels={"state": "at_risk"}, title="A little is left")

    assert [title for _, _, title in told()] == ["Alert a", "Nothing is left"]
    assert Alert.objects.get().labels == {"state": "at_risk"}


def test_an_alert_that_becomes_milder_leaves_its_incident_as_it_is(fire):
    fire(severity="critical")
    fire(severity="warning")

    assert Alert.objects.get().severity == "warning"
    assert Incident.objects.get().severity == "critical"
    assert len(told()) == 1


def test_a_note_that_becomes_a_warning_opens_an_incident(fire):
    fire(rule=rules.HEARTBEAT_UNUSUAL)
    fire(rule=rules.HEARTBEAT_UNUSUAL, severity="warning")

    assert Incident.objects.get().alerts.get().severity == "warning"
    assert [status for status, _, _ in told()] == ["info", "firing"]


def test_what_gets_worse_after_it_was_ended_by_hand_stays_ended(fire, operator):
    fire()
    incidents.resolve(actor=operator, incident_id=Incident.objects.get().pk, reason="Known.")
    fire(severity="critical")

    assert Incident.objects.get().state == "resolved"
    assert len(told()) == 2


def test_what_waits_is_not_told_during_maintenance(fire, operator, service):
    fire("a")
    fire("b")
    Incident.objects.update(told_at=timezone.now() - timedelta(minutes=3))
    now = timezone.now()
    window = MaintenanceWindow.objects.create(
        title="New disks", starts_at=now, duration_seconds=1800, declared_by="test"
    )
    window.services.set([service])
    held = MaintenanceOccurrence.objects.create(
        window=window, starts_at=now - timedelta(minutes=1), ends_at=now + timedelta(minutes=29)
    )

    alerts.release(actor=operator)
    assert len(told()) == 1

    held.delete()
    alerts.release(actor=operator)
    assert [title for _, _, title in told()] == ["Alert a", "Alert b"]


def test_what_opens_again_is_not_acknowledged(acknowledged, fire, operator):
    alerts.resolve(
        actor=operator, rule=rules.SLO_SLOW_BURN, key={"what": "a"}, at=timezone.now(), text=""
    )
    fire()

    assert Incident.objects.get().reopened == 1
    assert is_acknowledged() == ("triggered", None, None)


def test_what_a_person_opens_again_is_not_acknowledged(acknowledged, operator):
    incidents.resolve(actor=operator, incident_id=acknowledged.pk, reason="Over.")
    incidents.reopen(actor=operator, incident_id=acknowledged.pk, reason="No.")

    assert is_acknowledged() == ("triggered", None, None)
