"""An acknowledgement in a message is one of the incident, and the other way round."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.actors import actor_for
from core.actors import SYSTEM
from notifications import signals
from notifications.models import EscalationRun, Event, Group, GroupMember
from notifications.services import acknowledgements, channels
from reliability.engine import rules
from reliability.models import Incident, IncidentEvent
from reliability.services import acknowledged, alerts, incidents
from tests.notifications.escalations import begin, chain, person, thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident():
    opened = incidents.open_own(actor=SYSTEM, key="x", title="The log is damaged", detail="It is.")
    assert opened is not None
    return opened


@pytest.fixture
def group(incident):
    return thread(f"incident:{incident.pk}")


@pytest.fixture
def hook():
    config = {"url": "https://hooks.example.com/x"}
    return channels.create(actor=SYSTEM, kind="webhook", name="hook", config=config).channel


@pytest.fixture
def ada(make_user):
    return person(make_user, "ada")


def test_the_message_acknowledges_the_incident_as_the_person(
    incident, group, ada, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        acknowledgements.acknowledge(actor=actor_for(ada), group_id=group.pk)
    incident.refresh_from_db()
    group.refresh_from_db()
    assert (incident.state, incident.owner) == ("acknowledged", ada)
    line = IncidentEvent.objects.get(incident=incident, kind="acknowledged")
    assert line.actor_name == "ada"
    # The incident decides from now on when it runs out.
    assert (group.acked_by, group.ack_expires_at) == (ada, None)


def test_a_lost_signal_is_made_good_by_the_sweep(
    incident, group, ada, monkeypatch, django_capture_on_commit_callbacks
):
    monkeypatch.setattr(signals.acknowledged, "send_robust", lambda **_: [])
    with django_capture_on_commit_callbacks(execute=True):
        acknowledgements.acknowledge(actor=actor_for(ada), group_id=group.pk)
    incident.refresh_from_db()
    assert incident.state == "triggered"

    assert acknowledged.keep_in_step() == 1
    assert acknowledged.keep_in_step() == 0

    incident.refresh_from_db()
    assert (incident.state, incident.owner) == ("acknowledged", ada)


def test_the_incident_ends_the_escalation_in_its_own_transaction(incident, group, hook, ada):
    run = begin(group, chain({"channels": [hook.pk]}))
    incidents.acknowledge(actor=actor_for(ada), incident_id=incident.pk)
    run.refresh_from_db()
    group.refresh_from_db()
    assert (run.state, group.acked_by) == ("acknowledged", ada)


def test_mitigating_ends_it_as_well(incident, group, hook, ada):
    run = begin(group, chain({"channels": [hook.pk]}))
    incidents.mitigate(actor=actor_for(ada), incident_id=incident.pk, text="Restarted.")
    run.refresh_from_db()
    assert run.state == "acknowledged"


def test_an_incident_acknowledged_before_its_thread_was_there_is_made_good(incident, hook, ada):
    incidents.acknowledge(actor=actor_for(ada), incident_id=incident.pk)
    group = thread(f"incident:{incident.pk}")
    run = begin(group, chain({"channels": [hook.pk]}))
    assert acknowledged.keep_in_step() == 1
    assert acknowledged.keep_in_step() == 0
    run.refresh_from_db()
    group.refresh_from_db()
    assert (run.state, group.acked_by) == ("acknowledged", ada)


def test_one_that_runs_out_escalates_again(incident, group, hook, ada):
    run = begin(group, chain({"channels": [hook.pk]}))
    incidents.acknowledge(actor=actor_for(ada), incident_id=incident.pk)
    past = timezone.now() - timedelta(seconds=1)
    Incident.objects.filter(pk=incident.pk).update(acknowledged_until=past)

    assert incidents.expire_acknowledgements(actor=SYSTEM) == 1

    group.refresh_from_db()
    assert group.acked_at is None
    assert EscalationRun.objects.get(group=group, state="active").pk != run.pk
    assert Event.objects.filter(title=f"Still: {incident.title}").exists()
    assert acknowledged.keep_in_step() == 0


def test_one_that_is_opened_again_escalates_again(incident, group, hook, ada):
    begin(group, chain({"channels": [hook.pk]}))
    incidents.acknowledge(actor=actor_for(ada), incident_id=incident.pk)
    incidents.resolve(actor=actor_for(ada), incident_id=incident.pk, reason="Done.")
    incidents.reopen(actor=actor_for(ada), incident_id=incident.pk, reason="Not done.")
    group.refresh_from_db()
    assert group.acked_at is None
    assert EscalationRun.objects.filter(group=group, state="active").count() == 1


def test_incidents_that_somebody_has_acknowledged_already_are_left_alone(
    incident, group, ada, make_user
):
    bob = person(make_user, "bob")
    incidents.acknowledge(actor=actor_for(bob), incident_id=incident.pk)
    key = f"incident:{incident.pk}"
    assert acknowledged.from_messages(dedup_keys=[key], actor=actor_for(ada)) == 0
    incident.refresh_from_db()
    assert incident.owner == bob


def test_alerts_without_an_incident_are_acknowledged_alone(
    incident, ada, django_capture_on_commit_callbacks
):
    other = thread("alert:7")
    with django_capture_on_commit_callbacks(execute=True):
        acknowledgements.acknowledge(actor=actor_for(ada), group_id=other.pk)
    incident.refresh_from_db()
    assert incident.state == "triggered"
    assert Group.objects.get(pk=other.pk).ack_expires_at is not None
    assert GroupMember.objects.get(group=other).acked_at is not None


@pytest.mark.parametrize("state", ["acknowledged", "mitigated"])
def test_what_is_worse_is_not_acknowledged_by_its_thread(ada, make_service, state):
    given = {"actor": SYSTEM, "service": make_service("Shop"), "detail": "Why.", "title": "Slow"}
    alerts.fire(rule=rules.SLO_SLOW_BURN, key={"what": "a"}, at=timezone.now(), **given)
    incident = Incident.objects.get()
    group = thread(f"incident:{incident.pk}", severity="warning")
    incidents.acknowledge(actor=actor_for(ada), incident_id=incident.pk)
    Incident.objects.update(state=state)

    alerts.fire(rule=rules.SLO_FAST_BURN, key={"what": "b"}, at=timezone.now(), **given)

    assert acknowledged.keep_in_step() == 0
    incident.refresh_from_db()
    group.refresh_from_db()
    assert (incident.state, incident.severity, group.acked_at) == ("triggered", "critical", None)
