"""What has grown old goes; what may still be sent, or is quoted, stays."""

from datetime import timedelta

import pytest
from django.utils import timezone

from notifications.models import DeliveryAttempt, Event, Group, GroupMember, Notification
from notifications.services.retention import remove_old
from notifications.tasks import remove_old_messages
from tests.notifications.conftest import raise_alert
from tests.notifications.queued import queue_one

pytestmark = pytest.mark.django_db


def ago(days: float):
    return timezone.now() - timedelta(days=days)


def attempt(message: Notification, number: int, days: float) -> DeliveryAttempt:
    return DeliveryAttempt.objects.create(
        notification=message,
        number=number,
        started_at=ago(days),
        ended_at=ago(days),
        outcome="retry",
    )


def sent(channel, days: float, **fields) -> Notification:
    at = ago(days)
    return queue_one(channel, state="sent", sent_at=at, created_at=at, **fields)


def routed(key: str, days: float) -> Event:
    event = raise_alert(dedup_key=key)
    Event.objects.filter(pk=event.pk).update(
        created_at=ago(days), routed_at=ago(days), routing="routed"
    )
    return event


def thread(event: Event, closed_at) -> Group:
    group = Group.objects.create(
        route_name="All", group_key=event.dedup_key, title="x", severity="critical"
    )
    GroupMember.objects.create(
        group=group,
        dedup_key=event.dedup_key,
        event=event,
        status="resolved",
        severity="critical",
        since=event.created_at,
    )
    Group.objects.filter(pk=group.pk).update(closed_at=closed_at)
    return group


def test_messages_and_attempts_go_after_their_days(make_webhook):
    channel = make_webhook()
    old, young = sent(channel, 181), sent(channel, 179)
    gone, kept = attempt(young, 1, 91), attempt(young, 2, 89)

    assert remove_old() == {"attempts": 1, "messages": 1, "threads": 0, "alerts": 0}

    assert set(Notification.objects.values_list("pk", flat=True)) == {young.pk}
    assert not DeliveryAttempt.objects.filter(pk=gone.pk).exists()
    assert DeliveryAttempt.objects.get().pk == kept.pk
    assert old.pk != young.pk


def test_days_are_settings(make_webhook, settings):
    settings.OPS_MESSAGES_DAYS, settings.OPS_ATTEMPTS_DAYS = 10, 5
    channel = make_webhook()
    sent(channel, 11)
    attempt(sent(channel, 9), 1, 6)

    assert remove_old_messages() == {"attempts": 1, "messages": 1, "threads": 0, "alerts": 0}


@pytest.mark.parametrize("state", ["pending", "held"])
def test_what_may_still_be_sent_stays(make_webhook, state):
    message = queue_one(make_webhook(), state=state, created_at=ago(400))

    assert remove_old()["messages"] == 0
    assert Notification.objects.get().pk == message.pk


def test_what_a_younger_message_repeats_stays_with_it(make_webhook):
    channel = make_webhook()
    original = sent(channel, 200)
    repeat = sent(channel, 100, original=original, reason="resend")

    assert remove_old()["messages"] == 0

    Notification.objects.filter(pk=repeat.pk).update(created_at=ago(190))
    assert remove_old()["messages"] == 2


def test_alert_goes_with_the_last_that_quotes_it(make_webhook):
    channel = make_webhook()
    free, told, open_one = (routed(f"check:{number}", 200) for number in range(3))
    message = sent(channel, 100, event=told)
    group = thread(open_one, None)
    waiting = raise_alert(dedup_key="check:9")
    Event.objects.filter(pk=waiting.pk).update(created_at=ago(200))

    assert remove_old() == {"attempts": 0, "messages": 0, "threads": 0, "alerts": 1}
    assert not Event.objects.filter(pk=free.pk).exists()

    Notification.objects.filter(pk=message.pk).update(created_at=ago(190))
    Group.objects.filter(pk=group.pk).update(closed_at=ago(190))
    assert remove_old() == {"attempts": 0, "messages": 1, "threads": 1, "alerts": 2}
    # Nobody has decided about it yet, however old it is.
    assert Event.objects.get().pk == waiting.pk


def test_thread_that_closed_lately_stays(make_webhook):
    group = thread(routed("check:1", 400), ago(10))

    assert remove_old() == {"attempts": 0, "messages": 0, "threads": 0, "alerts": 0}
    assert Group.objects.get().pk == group.pk


def test_more_than_one_batch_goes(make_webhook, monkeypatch):
    monkeypatch.setattr("notifications.services.retention._AT_ONCE", 3)
    channel = make_webhook()
    first = None
    for number in range(8):
        message = sent(channel, 200, event=routed(f"check:{number}", 200), original=first)
        attempt(message, 1, 200)
        first = first or message

    assert remove_old() == {"attempts": 8, "messages": 8, "threads": 0, "alerts": 8}
