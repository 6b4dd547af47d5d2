"""Escalation, people and the router at the same thread at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, connections
from django.utils import timezone

from accounts.actors import actor_for
from core.actors import SYSTEM
from core.errors import InvalidTransitionError
from notifications.models import EscalationRun, Group, Notification
from notifications.services import acknowledgements, escalation
from tests.notifications.escalations import begin, chain, person, thread

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
    pytest.mark.django_db(transaction=True),
]

MANY = 6


def together(*acts):
    """Run the acts at the same time and return what they raised."""
    ready, errors = threading.Barrier(len(acts)), []

    def run(act):
        try:
            ready.wait(30)
            act()
        except Exception as error:  # noqa: BLE001  # the caller judges it
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for one in threads:
        one.start()
    for one in threads:
        one.join(120)
    return errors


@pytest.fixture
def groups(make_webhook):
    duty = chain({"channels": [make_webhook().pk]})
    found = [thread() for _ in range(MANY)]
    for group in found:
        begin(group, duty)
    EscalationRun.objects.update(next_step_at=timezone.now() - timedelta(seconds=1))
    return found


def test_many_at_once_take_each_step_once(groups):
    assert together(*[escalation.tick] * MANY) == []
    escalation.tick()
    for group in groups:
        assert list(Notification.objects.filter(group=group).values_list("seq", flat=True)) == [1]
    assert list(EscalationRun.objects.values_list("position", flat=True)) == [1] * MANY


def test_only_one_of_many_acknowledges(groups, make_user):
    group = groups[0]
    people = [person(make_user, f"person-{number}") for number in range(MANY)]
    acts = [
        partial(acknowledgements.acknowledge, actor=actor_for(one), group_id=group.pk)
        for one in people
    ]
    errors = together(*acts)
    assert [type(error) for error in errors] == [InvalidTransitionError] * (MANY - 1)
    assert Group.objects.get(pk=group.pk).acked_by in people


def test_after_an_acknowledgement_no_step_is_taken(groups):
    acts = [
        partial(acknowledgements.acknowledge, actor=SYSTEM, group_id=group.pk) for group in groups
    ]
    assert together(*acts, escalation.tick, escalation.tick) == []
    before = Notification.objects.count()
    escalation.tick()
    assert Notification.objects.count() == before
    assert not EscalationRun.objects.filter(state="active").exists()
    for group in groups:
        group.refresh_from_db()
        seqs = Notification.objects.filter(group=group).values_list("seq", flat=True)
        assert sorted(seqs) == list(range(1, group.last_seq + 1))


def test_what_runs_out_is_told_once(groups):
    for group in groups:
        acknowledgements.acknowledge(actor=SYSTEM, group_id=group.pk)
    Notification.objects.all().delete()
    Group.objects.update(ack_expires_at=timezone.now() - timedelta(seconds=1))
    assert together(*[acknowledgements.expire] * MANY) == []
    assert EscalationRun.objects.filter(state="active").count() == MANY
    assert not Group.objects.exclude(acked_at=None).exists()
