"""What is over before its message left is told as one, or to nobody twice."""

from datetime import timedelta

import pytest
from django.utils import timezone

from notifications.models import Notification
from notifications.services.outgoing import SUPERSEDED, reached
from tests.notifications.threads import make_route, mark_sent, pass_time, tell, told

pytestmark = pytest.mark.django_db


def test_untried_alert_and_its_end_are_one_message(make_webhook):
    make_webhook()
    tell(1)
    pass_time(minutes=4)
    tell(1, "resolved")

    down, end = Notification.objects.order_by("pk")
    assert (down.state, down.superseded_by, down.last_error) == ("superseded", end, SUPERSEDED)
    assert (end.state, end.reason, end.payload["note"]) == (
        "pending",
        "all_resolved",
        "It lasted 4 min.",
    )


def test_alert_that_was_tried_is_not_taken_back(make_webhook):
    make_webhook()
    tell(1)
    Notification.objects.update(attempts=1)
    tell(1, "resolved")

    down, end = Notification.objects.order_by("pk")
    assert (down.state, end.state, end.payload["note"]) == ("pending", "pending", "")


def test_alert_that_is_being_sent_is_not_taken_back(make_webhook):
    make_webhook()
    tell(1)
    lease = timezone.now() + timedelta(minutes=1)
    Notification.objects.update(
        lease_token="6a3c2b50-7b60-4b5e-9a53-0d6a4b4a1f00", lease_until=lease
    )
    tell(1, "resolved")

    assert [row[2] for row in told()] == ["pending", "pending"]


def test_only_who_was_not_told_gets_the_end_alone(make_webhook):
    first, second = make_webhook(), make_webhook()
    tell(1)
    Notification.objects.filter(channel=first).update(
        state="sent", sent_at=timezone.now(), attempts=1
    )
    tell(1, "resolved")

    states = Notification.objects.order_by("channel__name", "pk").values_list("state", flat=True)
    by_channel = {
        channel: list(
            Notification.objects.filter(channel=channel)
            .order_by("pk")
            .values_list("state", flat=True)
        )
        for channel in (first, second)
    }
    assert len(states) == 4
    assert by_channel == {first: ["sent", "pending"], second: ["superseded", "pending"]}


def test_news_do_not_take_back_what_is_waiting(make_webhook):
    make_webhook()
    tell(1)
    tell(1, seq=5)

    assert [(row[0], row[2]) for row in told()] == [("first", "pending"), ("update", "pending")]


def test_information_is_not_taken_back_by_the_end_of_something_else(make_webhook):
    make_route(make_webhook())
    tell(1, seq=1)
    mark_sent()
    tell(2, "info", severity="info", seq=1)
    Notification.objects.filter(reason="new_alerts").update(payload={"status": "info"})
    tell(1, "resolved")

    assert [(row[0], row[2]) for row in told()] == [
        ("first", "sent"),
        ("new_alerts", "pending"),
        ("all_resolved", "pending"),
    ]


def test_superseded_messages_count_as_reached(make_webhook):
    hook = make_webhook()
    tell(1)
    group = Notification.objects.get().group
    Notification.objects.update(state="superseded", last_error=SUPERSEDED)

    assert [target.channel for target in reached(group)] == [hook]

    Notification.objects.update(state="cancelled")
    assert reached(group) == []
