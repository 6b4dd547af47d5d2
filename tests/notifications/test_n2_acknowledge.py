"""Whoever acknowledges takes care: nobody else is called, until it holds too long."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.actors import actor_for
from audit.models import AuditRecord
from core.actors import SYSTEM
from core.errors import InvalidTransitionError, NotFoundError
from notifications import signals
from notifications.models import EscalationRun, Event, Group, GroupMember, Notification
from notifications.services import acknowledgements, escalation
from tests.notifications.escalations import (
    begin,
    chain,
    member,
    pass_time,
    people_mail,
    person,
    thread,
    told,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def heard():
    """Return what the apps above were told."""
    calls = []

    def note(group_key, dedup_keys, actor, **_):
        calls.append((group_key, list(dedup_keys), actor.name))

    signals.acknowledged.connect(note)
    yield calls
    signals.acknowledged.disconnect(note)


def test_it_ends_the_escalation_and_tells_those_who_were_told(
    make_user, make_webhook, heard, django_capture_on_commit_callbacks
):
    people_mail()
    ada, bob = person(make_user, "ada"), person(make_user, "bob")
    hook = make_webhook(name="hook")
    group = thread("check:1")
    run = begin(group, chain({"channels": [hook.pk], "people": [ada.pk, bob.pk]}))
    pass_time(run)
    Notification.objects.update(state="sent", sent_at=timezone.now(), attempts=1)

    with django_capture_on_commit_callbacks(execute=True):
        acknowledgements.acknowledge(actor=actor_for(ada), group_id=group.pk)

    group.refresh_from_db()
    run.refresh_from_db()
    assert (group.acked_by, group.acked_name) == (ada, "ada")
    assert timedelta(minutes=29) < group.ack_expires_at - timezone.now() <= timedelta(minutes=30)
    assert (run.state, run.next_step_at) == ("acknowledged", None)
    assert {row for row in told(group) if row[0] == "acknowledged"} == {
        ("acknowledged", "E-mail to people", "bob@example.com"),
        ("acknowledged", "hook", ""),
    }
    note = Notification.objects.filter(reason="acknowledged").first().payload["note"]
    assert note == "ada takes care of it."
    assert heard == [(group.key.hex, ["check:1"], "ada")]
    record = AuditRecord.objects.get(action="alert.acknowledged")
    assert (record.actor_name, record.target_id) == ("ada", str(group.pk))


def test_a_warning_is_acknowledged_to_its_end(make_user):
    group = thread(severity="warning")
    acknowledgements.acknowledge(actor=SYSTEM, group_id=group.pk)
    group.refresh_from_db()
    assert (group.acked_at is None, group.ack_expires_at) == (False, None)


def test_the_second_to_acknowledge_is_told_who_was_first(make_user):
    ada, bob = person(make_user, "ada"), person(make_user, "bob")
    group = thread()
    acknowledgements.acknowledge(actor=actor_for(ada), group_id=group.pk)
    with pytest.raises(InvalidTransitionError, match="ada has acknowledged it already"):
        acknowledgements.acknowledge(actor=actor_for(bob), group_id=group.pk)
    group.refresh_from_db()
    assert group.acked_by == ada


@pytest.mark.parametrize(
    "end",
    [
        lambda group: Group.objects.filter(pk=group.pk).update(closed_at=timezone.now()),
        lambda group: group.members.update(status=Event.Status.RESOLVED),
    ],
)
def test_what_is_over_cannot_be_acknowledged(end, heard, django_capture_on_commit_callbacks):
    group = thread()
    end(group)
    with (
        django_capture_on_commit_callbacks(execute=True),
        pytest.raises(InvalidTransitionError, match="nothing left to acknowledge"),
    ):
        acknowledgements.acknowledge(actor=SYSTEM, group_id=group.pk)
    group.refresh_from_db()
    assert (group.acked_at, heard) == (None, [])
    assert not AuditRecord.objects.filter(action="alert.acknowledged").exists()


def test_there_must_be_such_a_thread():
    with pytest.raises(NotFoundError):
        acknowledgements.acknowledge(actor=SYSTEM, group_id=4711)


def test_one_that_runs_out_tells_people_again_and_escalates_anew(make_user, make_webhook):
    ada = person(make_user, "ada")
    hook = make_webhook(name="hook")
    group = thread()
    run = pass_time(begin(group, chain({"wait_seconds": 0, "channels": [hook.pk]}, repeats=3)))
    Notification.objects.update(state="sent", sent_at=timezone.now(), attempts=1)
    acknowledgements.acknowledge(actor=actor_for(ada), group_id=group.pk)
    assert acknowledgements.expire() == 0
    Group.objects.update(ack_expires_at=timezone.now() - timedelta(seconds=1))

    assert acknowledgements.expire() == 1
    assert acknowledgements.expire() == 0

    group.refresh_from_db()
    assert (group.acked_at, group.acked_by, group.acked_name) == (None, None, "")
    message = Notification.objects.get(group=group, reason="ack_expired")
    assert message.payload["note"] == "ada has acknowledged this, and it is still not over."
    again = EscalationRun.objects.get(group=group, state="active")
    assert (again.pk != run.pk, again.position, again.repeats_left) == (True, 0, 3)


def test_one_that_runs_out_after_the_end_tells_nobody(make_user, make_webhook):
    group = thread()
    begin(group, chain({"channels": [make_webhook().pk]}))
    acknowledgements.acknowledge(actor=SYSTEM, group_id=group.pk)
    GroupMember.objects.update(status=Event.Status.RESOLVED)
    Group.objects.update(ack_expires_at=timezone.now() - timedelta(seconds=1))
    assert acknowledgements.expire() == 0
    assert not EscalationRun.objects.filter(state="active").exists()
    assert not Notification.objects.filter(reason="ack_expired").exists()


def test_a_new_critical_alert_takes_the_acknowledgement_back(make_webhook):
    duty = chain({"channels": [make_webhook().pk]})
    group = thread("check:1")
    begin(group, duty)
    group = acknowledgements.acknowledge(actor=SYSTEM, group_id=group.pk)
    assert escalation.start(group, duty) is None
    member(group, "check:2", severity="warning")
    assert escalation.start(group, duty) is None

    member(group, "check:3")

    group.refresh_from_db()
    assert escalation.start(group, duty) is not None
    group.refresh_from_db()
    assert group.acked_at is None


def test_following_one_above_holds_until_that_is_withdrawn(make_webhook):
    group = thread("incident:1")
    run = begin(group, chain({"channels": [make_webhook().pk]}))

    assert acknowledgements.follow(dedup_key="incident:1", actor=SYSTEM) == 1

    group.refresh_from_db()
    run.refresh_from_db()
    assert (group.acked_name, group.ack_expires_at) == ("OpsPlatform", None)
    assert run.state == "acknowledged"

    assert acknowledgements.withdraw("incident:1") == 1
    group.refresh_from_db()
    assert group.acked_at is None
    assert EscalationRun.objects.filter(group=group, state="active").count() == 1


def test_following_leaves_the_other_alerts_of_a_thread_to_be_acknowledged(make_webhook):
    group = thread("incident:1", "incident:2")
    run = begin(group, chain({"channels": [make_webhook().pk]}))

    acknowledgements.follow(dedup_key="incident:1", actor=SYSTEM)
    group.refresh_from_db()
    run.refresh_from_db()
    assert (group.acked_at, run.state) == (None, "active")

    acknowledgements.follow(dedup_key="incident:2", actor=SYSTEM)
    group.refresh_from_db()
    run.refresh_from_db()
    assert (group.acked_at is None, run.state) == (False, "acknowledged")


def test_following_what_has_no_thread_does_nothing():
    assert acknowledgements.follow(dedup_key="incident:9", actor=SYSTEM) == 0
    assert acknowledgements.withdraw("incident:9") == 0


def test_a_drill_lets_nothing_run_out(settings):
    group = thread()
    acknowledgements.acknowledge(actor=SYSTEM, group_id=group.pk)
    Group.objects.update(ack_expires_at=timezone.now() - timedelta(seconds=1))
    settings.OPS_MODE = "drill"
    assert acknowledgements.expire() == 0
    group.refresh_from_db()
    assert group.acked_at is not None
