"""After a pause one message goes out on trial, and only one that may go."""

import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from notifications.engine.base import Outcome, Verdict
from notifications.models import Channel, Notification
from notifications.services import claims
from notifications.services.results import Result, finish
from tests.notifications.conftest import alert_to, raise_alert, route_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel(make_webhook) -> Channel:
    """Return a channel whose pause after failures is over."""
    channel = make_webhook()
    Channel.objects.update(fails=5, open_until=timezone.now() - timedelta(seconds=1))
    channel.refresh_from_db()
    return channel


def block(channel: Channel) -> None:
    """Leave one message that waits for its next try, and one that must wait for the first."""
    first = alert_to(channel, transition_seq=1)
    alert_to(channel, transition_seq=2)
    later = timezone.now() + timedelta(minutes=5)
    Notification.objects.filter(pk=first.pk).update(next_at=later)


def test_no_trial_is_spent_on_what_must_wait(channel):
    block(channel)

    assert claims.claim(channel_id=channel.pk) is None

    before = channel.open_until
    channel.refresh_from_db()
    assert channel.open_until == before


def test_no_worker_is_started_for_what_must_wait(channel):
    block(channel)
    assert claims.channels_due() == []

    raise_alert(dedup_key="check:2")
    route_all()

    assert claims.channels_due() == [channel.pk]


def test_of_two_who_saw_the_pause_end_one_takes_the_trial(channel):
    alert_to(channel)
    seen_by_both = Channel.objects.get()

    assert claims._take_trial(seen_by_both)
    assert not claims._take_trial(seen_by_both)


def end(channel: Channel, outcome: Outcome) -> None:
    """Try one message as soon as the pause is over, if there is one."""
    past = timezone.now() - timedelta(seconds=1)
    Channel.objects.filter(open_until__isnull=False).update(open_until=past)
    held = claims.claim(channel_id=channel.pk)
    assert held is not None
    first, *others = held.messages
    claims.give_back(claim=held, messages=others)
    now = timezone.now()
    finish(
        claim=held, results=[Result(message=first, started_at=now, ended_at=now, outcome=outcome)]
    )


def test_pause_and_recovery_are_logged_once_each(make_webhook, caplog):
    caplog.set_level(logging.INFO, logger="notifications")
    channel = make_webhook()
    for number in range(9):
        alert_to(channel, dedup_key=f"check:{number}")

    for _ in range(8):
        end(channel, Outcome(verdict=Verdict.RETRY, detail="It answered 500."))
    end(channel, Outcome(verdict=Verdict.DELIVERED))

    told = [(line.levelname, line.getMessage()) for line in caplog.records]
    assert told == [
        ("WARNING", "A channel is paused after failures."),
        ("INFO", "A channel works again."),
    ]


@pytest.mark.parametrize(("severity", "minutes"), [("critical", 15), ("warning", 600)])
def test_receiver_cannot_put_off_a_critical_message_for_long(make_webhook, severity, minutes):
    channel = make_webhook()
    message = alert_to(channel, severity=severity)

    end(channel, Outcome(verdict=Verdict.RETRY, retry_after_seconds=36_000.0, detail="Later."))

    message.refresh_from_db()
    wait = (message.next_at - timezone.now()).total_seconds()
    assert wait == pytest.approx(minutes * 60, abs=5)
    assert message.history.get().retry_after_seconds == 36_000.0
