"""A warning that becomes critical is another matter: whoever cares for it has not heard that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from core.actors import SYSTEM
from notifications.loops import start_escalating
from notifications.models import EscalationRun, Group, GroupMember, Notification
from notifications.services import acknowledgements, chains, escalation, outgoing
from tests.notifications.escalations import begin, chain, pass_time, thread
from tests.notifications.threads import make_route, tell

pytestmark = pytest.mark.django_db


def states() -> list[str]:
    return list(EscalationRun.objects.order_by("pk").values_list("state", flat=True))


@pytest.fixture
def duty(make_webhook):
    """Return an escalation, and a route that uses it."""
    found = chain({"channels": [make_webhook(name="boss").pk]})
    make_route(make_webhook(name="shop"), chain=found.pk)
    return found


def test_it_takes_the_acknowledgement_back_and_escalates(duty):
    tell(1, severity="warning")
    acknowledgements.acknowledge(actor=SYSTEM, group_id=Group.objects.get().pk)
    assert states() == ["acknowledged"]

    tell(1, severity="warning", seq=2)
    assert Group.objects.get().acked_at is not None

    tell(1, severity="critical", seq=3)
    group = Group.objects.get()
    assert (group.acked_at, group.ack_expires_at, group.severity) == (None, None, "critical")
    assert states() == ["acknowledged", "active"]

    acknowledgements.acknowledge(actor=SYSTEM, group_id=group.pk)
    group.refresh_from_db()
    assert group.ack_expires_at is not None
    tell(1, severity="critical", seq=4)
    group.refresh_from_db()
    assert (group.acked_at is None, states()) == (False, ["acknowledged"] * 2)


def test_without_a_chain_it_is_told_again_while_it_holds(make_webhook):
    make_route(make_webhook(), repeat_seconds=3600)
    tell(1, severity="warning")
    acknowledgements.acknowledge(actor=SYSTEM, group_id=Group.objects.get().pk)
    tell(1, severity="critical", seq=2)
    group = Group.objects.get()
    assert (group.acked_at, states()) == (None, [])
    Notification.objects.update(state="sent", sent_at=timezone.now(), attempts=1)
    Group.objects.update(repeat_at=timezone.now() - timedelta(seconds=1))
    tell(2, severity="critical", service="other")
    assert Notification.objects.filter(group=group, reason="repeat").count() == 1


def test_an_acknowledged_incident_does_not_cover_what_is_graver(duty):
    tell(1, severity="warning")
    acknowledgements.follow(dedup_key="check:1", actor=SYSTEM)
    tell(1, severity="critical", seq=2)
    assert Group.objects.get().acked_at is None
    assert states() == ["acknowledged", "active"]


def test_an_escalation_that_ended_unanswered_begins_again(duty):
    tell(1, severity="warning")
    pass_time(EscalationRun.objects.get())
    assert pass_time(EscalationRun.objects.get()).state == "exhausted"
    tell(1, severity="warning", seq=2)
    assert states() == ["exhausted"]
    tell(1, severity="critical", seq=3)
    assert states() == ["exhausted", "active"]


def test_a_step_for_critical_alerts_is_made_up_for(make_webhook):
    boss, hook = make_webhook(name="boss"), make_webhook(name="hook")
    duty = chains.create(
        actor=SYSTEM,
        name="Duty",
        repeats=0,
        steps=[
            {"wait_seconds": 60, "channels": [boss.pk], "min_severity": "critical"},
            {"wait_seconds": 60, "channels": [hook.pk]},
        ],
    )
    group = thread(severity="warning")
    run = pass_time(begin(group, duty))
    Group.objects.update(severity="critical")
    GroupMember.objects.update(severity="critical")
    assert pass_time(run).state == "active"
    assert list(Notification.objects.order_by("pk").values_list("channel_name", flat=True)) == [
        "hook",
        "boss",
    ]
    pass_time(run)
    assert pass_time(run).state == "exhausted"


@pytest.fixture
def poisoned(make_webhook, monkeypatch):
    """Return two threads whose acknowledgement has run out; the first cannot be told of."""
    duty = chain({"channels": [make_webhook().pk]})
    groups = [thread(), thread()]
    for group in groups:
        pass_time(begin(group, duty))
        acknowledgements.acknowledge(actor=SYSTEM, group_id=group.pk)
    Group.objects.update(ack_expires_at=timezone.now() - timedelta(seconds=1))
    real = outgoing.compose

    def compose(group, *given, **more):
        if group.pk == groups[0].pk:
            message = "It cannot be told."
            raise ValueError(message)
        return real(group, *given, **more)

    monkeypatch.setattr(outgoing, "compose", compose)
    return groups


def test_one_that_fails_holds_up_no_other(poisoned):
    with pytest.raises(ValueError, match="cannot be told"):
        acknowledgements.expire()
    acked = dict(Group.objects.values_list("pk", "acked_at"))
    assert acked[poisoned[0].pk] is not None
    assert acked[poisoned[1].pk] is None


def test_escalations_move_though_an_acknowledgement_cannot_end(monkeypatch):
    moved = []

    def expire():
        message = "It cannot be told."
        raise ValueError(message)

    monkeypatch.setattr(acknowledgements, "expire", expire)
    monkeypatch.setattr(escalation, "tick", lambda: moved.append(1))
    with pytest.raises(ValueError, match="cannot be told"):
        async_to_sync(start_escalating())(None)
    assert moved == [1]
