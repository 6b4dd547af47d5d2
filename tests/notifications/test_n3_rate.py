"""A channel sends no more a minute than its provider allows, and rests when told to."""

import threading
from bisect import bisect_left
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.engine.base import Outcome, Verdict
from notifications.engine.buckets import available, burst
from notifications.models import Channel, Notification
from notifications.services.claims import claim, give_back
from notifications.services.results import Result, finish
from tests.notifications.queued import queue

LIMITED = Outcome(verdict=Verdict.RETRY, status_code=429, retry_after_seconds=90.0, detail="429.")


def end(held, outcome: Outcome, count: int | None = None) -> bool:
    now = timezone.now()
    ended = [
        Result(message=message, started_at=now, ended_at=now, outcome=outcome)
        for message in held.messages[:count]
    ]
    return finish(claim=held, results=ended)


def rest(channel: Channel, seconds: float) -> None:
    """Let so much time pass for the bucket."""
    channel.refresh_from_db()
    Channel.objects.filter(pk=channel.pk).update(
        tokens_at=channel.tokens_at - timedelta(seconds=seconds)
    )


def limited(make_webhook, rate: int, **settings) -> Channel:
    channel = make_webhook(**settings)
    Channel.objects.filter(pk=channel.pk).update(rate_per_minute=rate)
    return channel


@settings(deadline=None)
@given(rate=st.integers(1, 1_000), pauses=st.lists(st.integers(0, 40_000), max_size=60))
def test_no_minute_holds_more_than_the_rate(rate, pauses):
    tokens, last, now, sent = float(burst(rate)), None, 0, []
    for pause in [0, *pauses]:
        now += pause
        since = None if last is None else (now - last) / 1000
        tokens = available(rate_per_minute=rate, tokens=tokens, seconds_since=since)
        taken = int(tokens)
        sent += [now] * taken
        tokens, last = tokens - taken, now
    for first, begin in enumerate(sent):
        assert bisect_left(sent, begin + 60_000) - first <= rate


def test_bucket_of_a_future_that_no_hold_explains_is_full():
    assert available(rate_per_minute=60, tokens=0.0, seconds_since=-100_000.0) == 6
    assert available(rate_per_minute=60, tokens=0.0, seconds_since=-10.0) == 0


@pytest.mark.django_db
def test_claim_takes_what_the_bucket_holds_and_then_waits(make_webhook):
    channel = limited(make_webhook, 60)
    queue(channel, 20)

    first = claim(channel_id=channel.pk)

    assert len(first.messages) == 6
    assert claim(channel_id=channel.pk) is None
    assert Notification.objects.filter(attempts=0).count() == 14


@pytest.mark.django_db
def test_bucket_fills_with_time(make_webhook):
    channel = limited(make_webhook, 60)
    queue(channel, 20)
    claim(channel_id=channel.pk)

    # It fills by 55 a minute: with six at once, no minute holds more than sixty.
    rest(channel, 60 / 55 * 3.5)

    assert len(claim(channel_id=channel.pk).messages) == 3


@pytest.mark.django_db
def test_kind_decides_where_the_channel_names_no_rate(make_webhook):
    channel = make_webhook()
    Channel.objects.filter(pk=channel.pk).update(kind="discord")
    queue(channel, 20)

    assert len(claim(channel_id=channel.pk).messages) == 3


@pytest.mark.django_db
def test_channel_without_a_rate_has_no_bucket(make_webhook):
    channel = make_webhook(max_parallel=10)
    queue(channel, 40)

    assert len(claim(channel_id=channel.pk).messages) == 30

    channel.refresh_from_db()
    assert (channel.tokens, channel.tokens_at) == (0.0, None)


@pytest.mark.django_db
def test_what_was_not_sent_gives_its_tokens_back(make_webhook):
    channel = limited(make_webhook, 60)
    queue(channel, 20)
    held = claim(channel_id=channel.pk)
    channel.refresh_from_db()
    before = channel.tokens

    give_back(claim=held, messages=held.messages[2:])

    channel.refresh_from_db()
    assert (before, channel.tokens) == (0.0, 4.0)
    assert len(claim(channel_id=channel.pk).messages) == 4


@pytest.mark.django_db
def test_what_another_dispatcher_has_taken_over_gives_no_tokens_back(make_webhook):
    channel = limited(make_webhook, 60)
    queue(channel, 6)
    paused = claim(channel_id=channel.pk)
    Notification.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    rest(channel, 120)
    claim(channel_id=channel.pk)

    give_back(claim=paused, messages=paused.messages)

    channel.refresh_from_db()
    assert channel.tokens == 0.0


@pytest.mark.django_db
def test_the_most_urgent_spend_the_tokens(make_webhook):
    channel = limited(make_webhook, 20)
    queue(channel, 10, severity="info")
    urgent = queue(channel, 2, severity="critical")

    held = claim(channel_id=channel.pk)

    assert [row.pk for row in held.messages] == [row.pk for row in urgent]


@pytest.mark.django_db
def test_receiver_that_says_when_to_come_again_holds_up_its_whole_channel(make_webhook):
    channel = make_webhook(max_parallel=1)
    queue(channel, 9)

    assert not end(claim(channel_id=channel.pk), LIMITED, 1)

    channel.refresh_from_db()
    # It lives, so it is not paused as one that is dead.
    assert (channel.fails, channel.open_until) == (0, None)
    assert (channel.tokens_at - timezone.now()).total_seconds() == pytest.approx(90, abs=30)
    assert claim(channel_id=channel.pk) is None
    rest(channel, 120)
    assert claim(channel_id=channel.pk) is not None


@pytest.mark.django_db
def test_hold_ends_after_a_quarter_of_an_hour_whatever_the_receiver_wants(make_webhook):
    channel = make_webhook()
    queue(channel)
    a_day = Outcome(
        verdict=Verdict.RETRY, status_code=429, retry_after_seconds=86_400.0, detail="429."
    )

    end(claim(channel_id=channel.pk), a_day)

    channel.refresh_from_db()
    assert (channel.tokens_at - timezone.now()).total_seconds() == pytest.approx(900, abs=30)


@pytest.mark.django_db
def test_hold_from_before_the_clock_stepped_back_is_void(make_webhook):
    channel = make_webhook()
    queue(channel)
    Channel.objects.update(tokens_at=timezone.now() + timedelta(days=1))

    assert claim(channel_id=channel.pk) is not None


@pytest.mark.django_db
def test_no_trial_is_spent_without_a_token(make_webhook):
    channel = limited(make_webhook, 60)
    queue(channel, 7)
    claim(channel_id=channel.pk)
    past = timezone.now() - timedelta(seconds=1)
    Channel.objects.update(open_until=past)

    assert claim(channel_id=channel.pk) is None

    channel.refresh_from_db()
    assert channel.open_until == past


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_dispatchers_do_not_spend_the_same_tokens(make_webhook):
    channel = limited(make_webhook, 60)
    queue(channel, 40)
    barrier = threading.Barrier(4)
    taken: list[int] = []

    def take() -> None:
        try:
            barrier.wait(30)
            held = claim(channel_id=channel.pk)
            taken.append(len(held.messages) if held else 0)
        finally:
            connection.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(taken) == 6
