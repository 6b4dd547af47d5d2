"""Who is called, and who no longer: silences, several threads of one alert, several alerts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from core.actors import SYSTEM
from notifications.models import EscalationRun, Group, Notification, Silence
from notifications.services import acknowledgements, silences
from notifications.services.escalation import SILENCED
from tests.notifications.escalations import begin, chain, pass_time, thread

pytestmark = pytest.mark.django_db


def silence() -> None:
    silences.create(
        actor=SYSTEM,
        matchers=[
            {"field": "service", "op": "=", "values": ["shop"]},
            {"field": "kind", "op": "=", "values": ["check.down"]},
        ],
        ends_at=timezone.now() + timedelta(hours=4),
        comment="We know.",
    )


@pytest.fixture
def run(make_webhook):
    return begin(thread("check:1"), chain({"channels": [make_webhook().pk]}, repeats=3))


def test_nobody_is_called_about_what_is_silenced(run):
    silence()
    for _ in range(2):
        run = pass_time(run)
    assert (run.state, run.position, [note["why"] for note in run.log]) == ("active", 0, [SILENCED])
    assert run.next_step_at > timezone.now()
    assert not Notification.objects.exists()


def test_people_are_called_when_the_silence_is_over(run):
    silence()
    run = pass_time(run)
    with_end = {"ends_at": timezone.now() - timedelta(seconds=1)}
    Silence.objects.update(starts_at=timezone.now() - timedelta(hours=1), **with_end)
    run = pass_time(run)
    assert (run.position, Notification.objects.filter(reason="escalation").count()) == (1, 1)


def test_an_acknowledgement_does_not_run_out_into_a_silence(run):
    run = pass_time(run)
    acknowledgements.acknowledge(actor=SYSTEM, group_id=run.group_id)
    Group.objects.update(ack_expires_at=timezone.now() - timedelta(seconds=1))
    silence()
    assert acknowledgements.expire() == 0
    group = Group.objects.get()
    assert (group.acked_at is None, group.ack_expires_at > timezone.now()) == (False, True)
    assert not Notification.objects.filter(reason="ack_expired").exists()


def test_all_threads_of_an_alert_stop_calling(make_webhook):
    duty = chain({"channels": [make_webhook().pk]})
    first, second, wider = thread("check:1"), thread("check:1"), thread("check:1", "check:2")
    for group in (first, second, wider):
        begin(group, duty)
    acknowledgements.acknowledge(actor=SYSTEM, group_id=second.pk)
    states = EscalationRun.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["acknowledged", "acknowledged", "active"]
    first.refresh_from_db()
    assert first.ack_expires_at is not None
    known = wider.members.order_by("pk").values_list("dedup_key", "acked_at")
    assert [(key, at is None) for key, at in known] == [("check:1", False), ("check:2", True)]


def test_an_incident_does_not_hold_back_calls_about_other_alerts():
    group = thread("check:1", "job:1")
    acknowledgements.acknowledge(actor=SYSTEM, group_id=group.pk)
    acknowledgements.follow(dedup_key="check:1", actor=SYSTEM)
    group.refresh_from_db()
    assert group.ack_expires_at is not None
    alone = thread("check:3")
    acknowledgements.acknowledge(actor=SYSTEM, group_id=alone.pk)
    acknowledgements.follow(dedup_key="check:3", actor=SYSTEM)
    alone.refresh_from_db()
    assert alone.ack_expires_at is None
