"""What one channel could not tell, or not in time, its fallback tells."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from core.keyring import KeyringError
from core.logs import encode
from notifications.engine.base import Outcome, Verdict
from notifications.models import Channel, Group, Notification
from notifications.models.notifications import LIFETIME
from notifications.services import fallback, holds
from notifications.services.claims import claim, expire
from notifications.services.composing import thread_url
from notifications.services.results import Result, finish
from tests.notifications.queued import queue, queue_one
from tests.notifications.test_n3_hold import OPERATOR

pytestmark = pytest.mark.django_db

REFUSED = Outcome(verdict=Verdict.REFUSED, status_code=401, detail="It answered 401.")
FAILED = Outcome(verdict=Verdict.RETRY, status_code=500, detail="It answered 500.")


@pytest.fixture
def other(make_webhook) -> Channel:
    return make_webhook("https://hooks.example.org/other")


@pytest.fixture
def channel(make_webhook, other) -> Channel:
    return leading_to(make_webhook(), other)


@pytest.fixture
def group(db) -> Group:
    return Group.objects.create(
        route_name="All", group_key="x", title="x", severity="critical", last_seq=7
    )


def leading_to(channel: Channel, fallback_channel: Channel | None) -> Channel:
    Channel.objects.filter(pk=channel.pk).update(fallback=fallback_channel)
    channel.refresh_from_db()
    return channel


def end(channel: Channel, outcome: Outcome) -> None:
    held = claim(channel_id=channel.pk)
    now = timezone.now()
    finish(
        claim=held,
        results=[
            Result(message=message, started_at=now, ended_at=now, outcome=outcome)
            for message in held.messages
        ],
    )


def instead() -> list[Notification]:
    return list(Notification.objects.filter(reason="fallback").order_by("pk"))


def minutes_ago(minutes: float) -> dict[str, object]:
    moment = timezone.now() - timedelta(minutes=minutes)
    return {"created_at": moment, "expires_at": moment + LIFETIME}


def test_refused_message_goes_to_the_fallback_at_once(channel, other, group):
    message = queue_one(channel, group=group, seq=7, thread_key=f"group:{group.pk}")

    end(channel, REFUSED)

    [row] = instead()
    assert (row.channel, row.state, row.original_id) == (other, "pending", message.pk)
    # The same moment of the same thread: what follows finds it.
    assert (row.group, row.seq, row.thread_key) == (group, 7, message.thread_key)
    assert row.payload["reason"] == "fallback"
    assert row.payload["note"] == f"You get this because {channel.name} did not take it."
    assert row.payload["title"] == message.payload["title"]
    assert row.idempotency_key != message.idempotency_key
    message.refresh_from_db()
    assert message.state == "dead"


def test_failure_that_is_tried_again_stays_where_it_is(channel):
    queue_one(channel)

    end(channel, FAILED)

    assert instead() == []


def test_message_that_outlived_its_day_goes_to_the_fallback(channel):
    message = queue_one(channel, severity="warning")
    Notification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert expire() == 1

    [row] = instead()
    assert row.original_id == message.pk
    assert (row.expires_at - timezone.now()).total_seconds() == pytest.approx(86_400, abs=60)


def test_critical_message_that_is_late_goes_there_as_well(channel, other):
    late = queue_one(channel, **minutes_ago(3))
    queue_one(channel, **minutes_ago(1))
    queue_one(channel, severity="warning", **minutes_ago(30))

    assert fallback.late() == 1
    assert fallback.late() == 0

    [row] = instead()
    assert (row.original_id, row.channel) == (late.pk, other)
    assert row.payload["note"] == f"You get this because {channel.name} has not delivered it yet."
    late.refresh_from_db()
    # It may arrive yet: two are better than none.
    assert late.state == "pending"


@pytest.mark.parametrize(
    "trouble", [{"open_until": timezone.now() + timedelta(hours=1)}, {"enabled": False}]
)
def test_critical_message_does_not_wait_for_a_channel_that_rests(channel, trouble):
    queue_one(channel)
    queue_one(channel, severity="warning")
    assert fallback.late() == 0
    Channel.objects.filter(pk=channel.pk).update(**trouble)

    assert fallback.late() == 1


def test_several_recipients_of_one_channel_are_replaced_once(make_mail_channel, other, group):
    channel = leading_to(make_mail_channel("ada@example.com", "bob@example.com"), other)
    for name in ("ada", "bob"):
        queue_one(
            channel,
            group=group,
            seq=7,
            thread_key=f"group:{group.pk}",
            recipient=f"{name}@example.com",
        )

    end(channel, REFUSED)

    assert len(instead()) == 1


def test_fallback_that_was_told_anyway_is_not_told_twice(channel, other, group):
    same = {"group": group, "seq": 7, "thread_key": f"group:{group.pk}"}
    queue_one(other, **same)
    queue_one(channel, **same, **minutes_ago(3))

    assert fallback.late() == 0
    end(channel, REFUSED)

    assert instead() == []


def test_every_recipient_of_the_fallback_is_told(make_webhook, make_mail_channel):
    mail = make_mail_channel("ada@example.com", "bob@example.com")
    channel = leading_to(make_webhook(), mail)
    queue_one(channel)

    end(channel, REFUSED)

    assert [row.recipient for row in instead()] == ["ada@example.com", "bob@example.com"]


def test_fallback_of_the_fallback_is_next(make_webhook, channel, other):
    last = make_webhook("https://hooks.example.net/last")
    leading_to(other, last)
    message = queue_one(channel)
    end(channel, REFUSED)

    end(other, REFUSED)

    assert [(row.channel, row.original_id) for row in instead()] == [
        (other, message.pk),
        (last, message.pk),
    ]


def test_circle_of_fallbacks_ends(channel, other):
    leading_to(other, channel)
    queue_one(channel)
    end(channel, REFUSED)

    end(other, REFUSED)

    assert [row.channel for row in instead()] == [other]
    assert fallback.missed() == 0


def test_fallback_that_is_switched_off_is_passed_over(make_webhook, channel, other):
    last = make_webhook("https://hooks.example.net/last")
    leading_to(other, last)
    Channel.objects.filter(pk=other.pk).update(enabled=False)
    queue_one(channel)

    end(channel, REFUSED)

    assert [row.channel for row in instead()] == [last]


@pytest.mark.parametrize("reason", ["test", "resend"])
def test_what_somebody_watches_is_not_replaced(channel, reason):
    queue_one(channel, reason=reason)

    end(channel, REFUSED)

    assert (instead(), fallback.missed()) == ([], 0)


def test_person_is_replaced_by_a_shared_channel_with_its_own_link(channel, other, group, make_user):
    person = make_user()
    queue_one(channel, user=person, group=group, thread_key=f"group:{group.pk}")

    end(channel, REFUSED)

    [row] = instead()
    assert (row.user, row.channel) == (None, other)
    assert row.payload["links"].get("Acknowledge", "") == thread_url(group.pk)


def test_fault_in_the_fallback_keeps_the_outcome_and_is_made_good(channel, monkeypatch, caplog):
    message = queue_one(channel)

    def fail(_: object) -> None:
        told = "The keyring is away."
        raise KeyringError(told)

    with monkeypatch.context() as broken:
        broken.setattr(fallback, "targets_of_channels", fail)
        end(channel, REFUSED)

    message.refresh_from_db()
    assert (message.state, instead()) == ("dead", [])
    assert "did not get to the fallback" in json.loads(encode(caplog.records[-1]))["message"]
    assert fallback.missed() == 1
    assert fallback.missed() == 0


def test_nothing_is_replaced_while_messages_are_held_back(channel):
    queue_one(channel, **minutes_ago(10))
    holds.place(actor=OPERATOR, reason="Restored.")

    assert (fallback.late(), fallback.missed()) == (0, 0)


def test_without_fallbacks_nothing_is_looked_through(make_webhook, django_assert_num_queries):
    queue(make_webhook(), 3, **minutes_ago(10))

    with django_assert_num_queries(1):
        assert fallback.late() == 0
