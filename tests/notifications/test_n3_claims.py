"""Who may send which rows, and what is written when an attempt has ended."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from audit.models import AuditRecord
from core.logs import encode
from notifications.engine.base import Outcome, Verdict
from notifications.models import Channel, DeliveryAttempt, Notification
from notifications.services import claims
from notifications.services.claims import Claim, channels_due, claim, expire, give_back
from notifications.services.results import Result, finish
from tests.notifications.conftest import alert_to, raise_alert, route_all

pytestmark = pytest.mark.django_db

DELIVERED = Outcome(verdict=Verdict.DELIVERED, status_code=200)
FAILED = Outcome(
    verdict=Verdict.RETRY, status_code=500, error_class="http_500", detail="It answered 500."
)
REFUSED = Outcome(
    verdict=Verdict.REFUSED, status_code=401, error_class="http_401", detail="It answered 401."
)


@pytest.fixture
def channel(make_webhook):
    return make_webhook()


def end(held: Claim, outcome: Outcome) -> bool:
    now = timezone.now()
    ended = [
        Result(message=message, started_at=now, ended_at=now, outcome=outcome)
        for message in held.messages
    ]
    return finish(claim=held, results=ended)


def take(channel: Channel) -> Claim:
    held = claim(channel_id=channel.pk)
    assert held is not None
    return held


def logged(caplog) -> list[dict[str, object]]:
    """Return the contexts of the lines as the log file has them."""
    return [json.loads(encode(line))["context"] for line in caplog.records]


def make_due(message: Notification) -> None:
    Notification.objects.filter(pk=message.pk).update(next_at=timezone.now())


def lapse(message: Notification) -> None:
    """Let the lease run out, as if its dispatcher had stopped a minute ago."""
    past = timezone.now() - timedelta(seconds=1)
    Notification.objects.filter(pk=message.pk).update(lease_until=past)


def fail_in_a_row(channel: Channel, times: int) -> None:
    for number in range(times):
        alert_to(channel, dedup_key=f"check:{number}")
    for _ in range(times):
        Channel.objects.filter(pk=channel.pk).update(open_until=None)
        end(take_one(channel), FAILED)


def take_one(channel: Channel) -> Claim:
    held = take(channel)
    give_back(claim=held, messages=held.messages[1:])
    return Claim(
        channel=held.channel, token=held.token, deadline=held.deadline, messages=held.messages[:1]
    )


def test_claimed_message_is_leased_for_a_minute_and_counted(channel):
    message = alert_to(channel)

    held = take(channel)

    message.refresh_from_db()
    assert [row.pk for row in held.messages] == [message.pk]
    assert (message.lease_token, message.attempts, message.state) == (held.token, 1, "pending")
    assert (message.lease_until - timezone.now()).total_seconds() == pytest.approx(60, abs=2)
    assert 58 < held.seconds_left() <= 60


def test_claimed_message_is_not_claimed_again(channel):
    alert_to(channel)
    take(channel)

    assert claim(channel_id=channel.pk) is None
    assert channels_due() == []


def test_critical_messages_go_first(channel):
    for number, severity in enumerate(["info", "critical", "warning"]):
        raise_alert(dedup_key=f"check:{number}", severity=severity)
    route_all()

    held = take(channel)

    assert [row.severity for row in held.messages] == ["critical", "warning", "info"]


def test_batch_fits_the_lease(channel):
    Channel.objects.update(timeout_seconds=15, max_parallel=2)
    for number in range(7):
        raise_alert(dedup_key=f"check:{number}")
    route_all()

    assert len(take(channel).messages) == 4


def test_a_later_message_of_a_thread_waits_for_the_earlier_one(channel):
    down = alert_to(channel, transition_seq=1)
    news = alert_to(channel, transition_seq=2)

    held = take(channel)
    assert [row.pk for row in held.messages] == [down.pk]
    assert claim(channel_id=channel.pk) is None
    end(held, DELIVERED)

    assert [row.pk for row in take(channel).messages] == [news.pk]


def test_a_dead_message_does_not_block_the_one_behind_it(channel):
    alert_to(channel, transition_seq=1)
    news = alert_to(channel, transition_seq=2)
    end(take(channel), REFUSED)

    assert [row.pk for row in take(channel).messages] == [news.pk]


def test_another_thread_or_recipient_is_not_blocked(make_mail_channel):
    mail = make_mail_channel("ada@example.com", "bob@example.com")
    raise_alert(transition_seq=1)
    raise_alert(dedup_key="check:2", transition_seq=2)
    route_all()

    assert len(take(mail).messages) == 4


def test_delivered_message_is_sent_with_its_attempt(channel):
    message = alert_to(channel)

    go_on = end(take(channel), DELIVERED)

    message.refresh_from_db()
    channel.refresh_from_db()
    assert go_on
    assert (message.state, message.lease_token, message.last_error) == ("sent", None, "")
    assert message.sent_at is not None
    attempt = message.history.get()
    assert (attempt.number, attempt.outcome, attempt.status_code) == (1, "delivered", 200)
    assert (channel.fails, channel.last_error) == (0, "")
    assert channel.health == Channel.Health.WORKING


def test_failed_message_waits_and_says_why(channel):
    message = alert_to(channel)

    end(take(channel), FAILED)

    message.refresh_from_db()
    wait = (message.next_at - timezone.now()).total_seconds()
    assert (message.state, message.lease_token) == ("pending", None)
    assert message.last_error == "It answered 500."
    assert 4 < wait <= 15
    assert message.wait_seconds == pytest.approx(wait, abs=1)
    assert message.history.get().outcome == "retry"
    assert claim(channel_id=channel.pk) is None


def test_longer_retry_after_wins(channel):
    message = alert_to(channel)
    asked = Outcome(verdict=Verdict.RETRY, retry_after_seconds=120.0, detail="It answered 429.")

    end(take(channel), asked)

    message.refresh_from_db()
    assert (message.next_at - timezone.now()).total_seconds() == pytest.approx(120, abs=2)
    assert message.wait_seconds <= 15


def test_refused_message_is_dead_at_once(channel):
    message = alert_to(channel)

    end(take(channel), REFUSED)

    message.refresh_from_db()
    channel.refresh_from_db()
    assert (message.state, message.last_error) == ("dead", "It answered 401.")
    assert message.history.get().outcome == "refused"
    assert channel.health == Channel.Health.FAILING


def test_receiver_that_is_gone_switches_its_channel_off(channel):
    alert_to(channel)
    gone = Outcome(verdict=Verdict.REFUSED, status_code=410, detail="It is gone.", gone=True)

    go_on = end(take(channel), gone)

    channel.refresh_from_db()
    assert not go_on
    assert (channel.enabled, channel.disabled_reason) == (False, "It is gone.")
    entry = AuditRecord.objects.get(action="channel.disabled")
    assert (entry.actor_key, entry.target_id) == ("notifications.dispatch", str(channel.pk))


def test_paused_dispatcher_changes_nothing_when_it_wakes(channel, caplog):
    message = alert_to(channel)
    paused = take(channel)
    lapse(message)
    successor = take(channel)
    end(successor, FAILED)
    message.refresh_from_db()
    before = (message.state, message.next_at, message.attempts, message.lease_token)

    end(paused, DELIVERED)

    message.refresh_from_db()
    assert (message.state, message.next_at, message.attempts, message.lease_token) == before
    assert list(message.history.values_list("number", "outcome")) == [(1, "unknown"), (2, "retry")]
    assert logged(caplog) == [{"channel": channel.name, "notifications": [message.pk]}]


def test_paused_dispatcher_cannot_give_back_what_another_sends(channel):
    message = alert_to(channel)
    paused = take(channel)
    lapse(message)
    successor = take(channel)

    give_back(claim=paused, messages=paused.messages)

    message.refresh_from_db()
    assert (message.lease_token, message.attempts) == (successor.token, 2)


def test_expired_lease_makes_the_next_attempt_uncertain(channel):
    message = alert_to(channel)
    take(channel)
    lapse(message)

    held = take(channel)

    assert held.messages[0].uncertain
    message.refresh_from_db()
    assert message.uncertain
    lost = message.history.get()
    assert (lost.number, lost.outcome, lost.ended_at) == (1, "unknown", None)


def test_attempt_without_an_answer_makes_the_next_one_uncertain(channel):
    message = alert_to(channel)

    end(take(channel), Outcome(verdict=Verdict.RETRY, detail="No answer.", uncertain=True))

    message.refresh_from_db()
    assert message.uncertain


def test_what_was_not_sent_goes_back_uncounted(channel):
    message = alert_to(channel)
    held = take(channel)

    give_back(claim=held, messages=held.messages)

    message.refresh_from_db()
    assert (message.attempts, message.lease_token, message.uncertain) == (0, None, False)
    assert [row.pk for row in take(channel).messages] == [message.pk]


def test_five_failures_in_a_row_pause_the_channel_for_a_minute(channel, caplog):
    fail_in_a_row(channel, 4)
    assert channels_due() == []
    alert_to(channel, dedup_key="check:9")
    assert channels_due() == [channel.pk]

    go_on = end(take(channel), FAILED)

    channel.refresh_from_db()
    assert not go_on
    assert (channel.fails, channel.health) == (5, Channel.Health.PAUSED)
    assert (channel.open_until - timezone.now()).total_seconds() == pytest.approx(60, abs=2)
    waiting = alert_to(channel, dedup_key="check:10")
    assert (channels_due(), claim(channel_id=channel.pk)) == ([], None)
    waiting.refresh_from_db()
    assert waiting.attempts == 0
    assert logged(caplog) == [{"channel": channel.name, "error": "It answered 500."}]


def test_one_message_goes_on_trial_after_the_pause(channel):
    fail_in_a_row(channel, 5)
    alert_to(channel, dedup_key="check:8")
    alert_to(channel, dedup_key="check:9")
    past = timezone.now() - timedelta(seconds=1)
    Channel.objects.update(open_until=past)

    trial = take(channel)

    assert len(trial.messages) == 1
    assert claim(channel_id=channel.pk) is None
    end(trial, DELIVERED)
    channel.refresh_from_db()
    assert (channel.fails, channel.open_until) == (0, None)
    assert len(take(channel).messages) == 1


def test_failed_trial_pauses_again(channel):
    fail_in_a_row(channel, 5)
    alert_to(channel, dedup_key="check:9")
    Channel.objects.update(open_until=timezone.now() - timedelta(seconds=1))

    assert not end(take(channel), FAILED)

    assert channels_due() == []


def test_failures_on_our_side_do_not_pause_the_channel(channel):
    for number in range(6):
        alert_to(channel, dedup_key=f"check:{number}")
    unset = Outcome(verdict=Verdict.REFUSED, detail="Set EMAIL_HOST.", local=True)

    assert end(take(channel), unset)

    channel.refresh_from_db()
    assert (channel.fails, channel.open_until, channel.last_error) == (0, None, "Set EMAIL_HOST.")
    assert Notification.objects.filter(state="dead").count() == 6


def test_disabled_channel_sends_nothing(channel):
    alert_to(channel)
    Channel.objects.update(enabled=False)

    assert channels_due() == []
    assert claim(channel_id=channel.pk) is None


def test_message_that_outlived_its_day_dies_with_its_last_error(channel):
    message = alert_to(channel)
    end(take(channel), FAILED)
    Notification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert claim(channel_id=channel.pk) is None
    assert expire() == 1

    message.refresh_from_db()
    assert message.state == "dead"
    assert message.last_error == "Not delivered in time. It answered 500."


def test_message_that_is_being_sent_does_not_expire(channel):
    alert_to(channel)
    take(channel)
    Notification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert expire() == 0
    assert Notification.objects.get().state == "pending"


def test_text_that_no_database_holds_does_not_fail_the_batch(channel):
    message = alert_to(channel)
    hostile = "a\x00b\ud800" + "x" * 2_000

    end(take(channel), Outcome(verdict=Verdict.RETRY, detail=hostile, excerpt=hostile))

    message.refresh_from_db()
    assert message.last_error.startswith("a b?xxx")
    assert len(message.last_error) == 300
    assert len(message.history.get().excerpt) == 1024


def test_a_test_message_is_not_tried_again(channel):
    message = alert_to(channel)
    Notification.objects.update(reason="test")

    end(take(channel), FAILED)

    message.refresh_from_db()
    assert (message.state, message.last_error) == ("dead", "It answered 500.")


@pytest.mark.parametrize("messages", [1, 20])
def test_claim_costs_the_same_for_one_message_and_for_twenty(
    channel, messages, django_assert_num_queries
):
    for number in range(messages):
        raise_alert(dedup_key=f"check:{number}")
    route_all()

    # Channel, rows and lease; the test's own transaction makes a savepoint of the claim's.
    # PostgreSQL is told besides to keep to the order of the index.
    with django_assert_num_queries(3 + 2 + (connection.vendor == "postgresql")):
        assert len(take(channel).messages) == messages


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "unheard of"},
        {"state": "sent"},
        {"state": "dead"},
        {"state": "sent", "sent_at": timezone.now(), "lease_token": uuid4()},
        {"lease_token": uuid4()},
        {"lease_until": timezone.now()},
    ],
)
def test_database_refuses_impossible_rows(channel, fields):
    message = alert_to(channel)

    with pytest.raises(IntegrityError), transaction.atomic():
        Notification.objects.filter(pk=message.pk).update(**fields)

    message.refresh_from_db()
    assert message.state == "pending"


def test_lease_outlasts_every_timeout():
    assert claims.LEASE_SECONDS >= 2 * Channel.LONGEST_TIMEOUT_SECONDS


def test_history_is_one_row_per_attempt(channel):
    message = alert_to(channel)
    end(take(channel), FAILED)
    make_due(message)
    end(take(channel), DELIVERED)

    numbers = DeliveryAttempt.objects.values_list("number", "outcome")
    assert list(numbers) == [(1, "retry"), (2, "delivered")]
