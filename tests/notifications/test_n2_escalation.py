"""Escalation tells the next ones while nobody acknowledges, and never nobody."""

from __future__ import annotations

from datetime import time, timedelta

import pytest
from django.utils import timezone

from core.actors import SYSTEM
from notifications.models import (
    EscalationRun,
    EscalationStep,
    Event,
    FeedEntry,
    GroupMember,
    Notification,
)
from notifications.services import chains, channels, escalation, oncall
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


def test_each_step_tells_whom_it_names_after_its_wait(make_user, make_webhook):
    people_mail()
    ada, hook = person(make_user, "ada"), make_webhook(name="hook")
    duty = chain(
        {"wait_seconds": 300, "people": [ada.pk]}, {"wait_seconds": 600, "channels": [hook.pk]}
    )
    group = thread()
    before = timezone.now()
    run = begin(group, duty)
    assert timedelta(seconds=299) < run.next_step_at - before < timedelta(seconds=360)
    assert escalation.tick() == 0
    assert told(group) == []

    run = pass_time(run)
    assert told(group) == [("escalation", "E-mail to people", "ada@example.com")]
    assert run.next_step_at - timezone.now() > timedelta(seconds=540)

    run = pass_time(run)
    assert told(group)[1:] == [("escalation", "hook", "")]
    assert [(entry["step"], entry["told"], entry["why"]) for entry in run.log] == [
        (1, 1, ""),
        (2, 1, ""),
    ]


def test_who_is_on_call_at_that_moment_is_told(make_user):
    people_mail()
    ada = person(make_user, "ada")
    every_day = [
        {"weekday": day, "starts": "00:00", "ends": "00:00", "user": ada.pk} for day in range(7)
    ]
    schedule = oncall.create(actor=SYSTEM, name="Duty", slots=_timed(every_day))
    group = thread()
    run = begin(group, chain({"schedules": [schedule.pk]}, name="Chain"))

    pass_time(run)

    message = Notification.objects.get(group=group)
    assert (message.recipient, message.user, message.reason) == (
        "ada@example.com",
        ada,
        "escalation",
    )
    assert FeedEntry.objects.filter(audience=f"user:{ada.pk}").count() == 1


def test_a_step_that_reaches_nobody_is_kept_with_its_reason_and_not_waited_for(
    make_user, make_webhook
):
    schedule = oncall.create(actor=SYSTEM, name="Night", slots=[])
    hook = make_webhook(name="hook")
    group = thread()
    run = begin(group, chain({"schedules": [schedule.pk]}, {"channels": [hook.pk]}))

    run = pass_time(run)

    rows = Notification.objects.filter(group=group).order_by("seq")
    assert [(row.state, row.channel_name, row.last_error) for row in rows] == [
        ("dead", "", "Step 1 of Duty reached nobody: nobody is on call in Night."),
        ("pending", "hook", ""),
    ]
    assert run.position == 2


def test_a_round_that_reaches_nobody_tells_every_shared_channel(make_webhook):
    make_webhook(name="first")
    make_webhook(name="second")
    make_webhook(name="off", enabled=False)
    people_mail()
    schedule = oncall.create(actor=SYSTEM, name="Night", slots=[])
    group = thread()
    run = begin(group, chain({"schedules": [schedule.pk]}))

    run = pass_time(run)

    assert [row[1] for row in told(group)] == ["", "first", "second"]
    assert (run.state, run.told) == ("active", 2)
    assert pass_time(run).state == "exhausted"


def test_it_begins_again_as_often_as_the_chain_says_and_then_tells_the_console(make_webhook):
    hook = make_webhook(name="hook")
    group = thread(title="shop is down")
    run = begin(group, chain({"wait_seconds": 0, "channels": [hook.pk]}, repeats=2))
    for _ in range(3):
        run = pass_time(run)
        assert run.state == "active"

    run = pass_time(run)

    assert [row[0] for row in told(group)] == ["escalation"] * 3
    assert (run.state, run.next_step_at) == ("exhausted", None)
    assert run.ended_at is not None
    entry = FeedEntry.objects.get(audience="topic:alerts", kind="escalation")
    assert (entry.payload["title"], entry.payload["text"]) == (
        "shop is down",
        "Everybody of Duty was told, and nobody has acknowledged it.",
    )


def test_steps_for_graver_alerts_are_left_out_with_their_wait(make_webhook):
    hook, other = make_webhook(name="hook"), make_webhook(name="other")
    steps = (
        {"wait_seconds": 60, "channels": [hook.pk], "min_severity": "critical"},
        {"wait_seconds": 120, "channels": [other.pk], "min_severity": "warning"},
    )
    duty = chain(*steps)
    warning = thread(severity="warning")
    run = begin(warning, duty)
    assert run.next_step_at - timezone.now() > timedelta(seconds=90)
    pass_time(run)
    assert [row[1] for row in told(warning)] == ["other"]

    assert escalation.start(thread(severity="info"), duty) is None


def test_a_run_keeps_the_steps_it_began_with(make_webhook):
    hook, other = make_webhook(name="hook"), make_webhook(name="other")
    duty = chain({"channels": [hook.pk]})
    group = thread()
    run = begin(group, duty)
    steps = [{"wait_seconds": 0, "channels": [other.pk]}]
    chains.update(actor=SYSTEM, chain_id=duty.pk, name="Duty", steps=steps, repeats=0)

    pass_time(run)

    assert [row[1] for row in told(group)] == ["hook"]


def test_starting_again_leaves_a_run_at_work_alone(make_webhook):
    duty = chain({"channels": [make_webhook().pk]})
    group = thread()
    run = begin(group, duty)
    assert escalation.start(group, duty) is None
    assert list(EscalationRun.objects.all()) == [run]


def test_what_is_over_escalates_no_more_and_anew_when_it_comes_back(make_webhook):
    duty = chain({"channels": [make_webhook().pk]})
    group = thread()
    run = begin(group, duty)
    assert escalation.stop(group) is True
    assert escalation.stop(group) is False
    assert pass_time(run).state == "resolved"
    assert told(group) == []
    assert begin(group, duty).state == "active"


def test_one_without_an_answer_begins_anew_for_a_new_alert_alone(make_webhook):
    duty = chain({"wait_seconds": 0, "channels": [make_webhook().pk]})
    group = thread()
    run = pass_time(pass_time(begin(group, duty)))
    assert run.state == "exhausted"
    assert escalation.start(group, duty) is None
    member(group, "another")
    assert escalation.start(group, duty) is not None


def test_a_closed_thread_ends_its_run(make_webhook):
    group = thread()
    run = begin(group, chain({"channels": [make_webhook().pk]}))
    group.closed_at = timezone.now()
    group.save()
    assert pass_time(run).state == "resolved"
    assert told(group) == []


def test_people_without_the_right_to_see_alerts_are_not_told(make_user, make_webhook):
    people_mail()
    ada = person(make_user, "ada", role="analyst")
    hook = make_webhook(name="hook")
    group = thread()
    run = begin(group, chain({"people": [ada.pk]}, {"channels": [hook.pk]}))

    run = pass_time(run)

    assert [row[1] for row in told(group)] == ["", "hook"]
    assert run.log[0]["why"] == "ada may not see alerts or is disabled"


def test_one_failing_run_does_not_hold_up_the_others(make_webhook, monkeypatch):
    duty = chain({"channels": [make_webhook().pk]})
    first, second = thread(), thread()
    begin(first, duty)
    begin(second, duty)
    EscalationRun.objects.update(next_step_at=timezone.now() - timedelta(seconds=1))
    real = escalation.outgoing.enqueue

    def fail(group, **rest):
        if group.pk == first.pk:
            message = "nonsense"
            raise ValueError(message)
        return real(group, **rest)

    monkeypatch.setattr(escalation.outgoing, "enqueue", fail)
    with pytest.raises(ValueError, match="nonsense"):
        escalation.tick()
    assert told(first) == []
    assert len(told(second)) == 1
    assert EscalationRun.objects.get(group=first).log == []


def test_a_drill_escalates_nothing(make_webhook, settings):
    group = thread()
    begin(group, chain({"channels": [make_webhook().pk]}))
    EscalationRun.objects.update(next_step_at=timezone.now() - timedelta(seconds=1))
    settings.OPS_MODE = "drill"
    assert escalation.tick() == 0
    assert told(group) == []


def test_what_is_gone_is_told_and_left_out(make_webhook):
    gone, hook = make_webhook(name="gone"), make_webhook(name="hook")
    group = thread()
    duty = chain({"channels": [gone.pk, hook.pk]})
    run = begin(group, duty)
    steps = [{"channels": [hook.pk]}]
    chains.update(actor=SYSTEM, chain_id=duty.pk, name="Duty", steps=steps, repeats=0)
    channels.delete(actor=SYSTEM, channel_id=gone.pk)
    run = pass_time(run)
    assert [row[1] for row in told(group)] == ["hook"]
    assert run.log[0]["why"] == "a channel is gone"
    assert EscalationStep.objects.count() == 1


def test_numbers_of_a_thread_have_no_gaps(make_webhook):
    hook = make_webhook(name="hook")
    group = thread()
    run = begin(group, chain({"wait_seconds": 0, "channels": [hook.pk]}, repeats=1))
    for _ in range(2):
        run = pass_time(run)
    group.refresh_from_db()
    seqs = Notification.objects.filter(group=group).values_list("seq", flat=True)
    assert sorted(seqs) == [1, 2]
    assert group.last_seq == 2


def test_nothing_is_told_of_what_no_longer_holds(make_webhook):
    group = thread()
    run = begin(group, chain({"channels": [make_webhook().pk]}))
    GroupMember.objects.update(status=Event.Status.RESOLVED)
    assert pass_time(run).state == "resolved"
    assert told(group) == []


def _timed(slots):
    hours = ("starts", "ends")
    return [{**slot, **{name: time.fromisoformat(slot[name]) for name in hours}} for slot in slots]
