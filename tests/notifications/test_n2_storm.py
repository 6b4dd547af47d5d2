"""Storms: many alerts at once are one message, and so is their end."""

import pytest
from django.db import transaction

from notifications.engine.grouping import STORM_KEY
from notifications.models import Event, Group, GroupMember, Notification
from tests.notifications.conftest import raise_alert, route_all
from tests.notifications.threads import make_route, mark_sent, pass_time, tell, told

pytestmark = pytest.mark.django_db


def raise_many(count: int, *, status: str = "firing", start: int = 0, **fields) -> None:
    with transaction.atomic():
        for number in range(start, start + count):
            raise_alert(
                dedup_key=f"check:{number}",
                status=status,
                transition_seq=1 if status == "firing" else 2,
                **fields,
            )
    route_all()


def test_a_thousand_alerts_are_one_message_to_each(make_webhook, make_mail_channel):
    make_webhook()
    make_mail_channel("ada@example.com", "bob@example.com")

    raise_many(1_000)

    assert [row[:2] for row in told()] == [("storm", "1,000 alerts at once")] * 3
    message = Notification.objects.first()
    assert (message.payload["firing"], len(message.payload["alerts"])) == (1_000, 50)
    assert set(Event.objects.values_list("routing", flat=True)) == {"routed"}
    storm = Group.objects.get(closed_at=None)
    assert (storm.group_key, storm.members.count(), storm.gathered.count()) == (
        STORM_KEY,
        1_000,
        1_000,
    )
    assert set(GroupMember.objects.values_list("told", flat=True)) == {"firing"}


def test_the_end_of_a_storm_is_one_message(make_webhook):
    make_webhook()
    raise_many(30)
    mark_sent()
    raise_many(10, status="resolved")
    assert len(told()) == 1

    pass_time(seconds=61)
    route_all()
    mark_sent()
    raise_many(20, status="resolved", start=10)
    pass_time(seconds=61)
    route_all()

    assert [row[:2] for row in told()] == [
        ("storm", "30 alerts at once"),
        ("new_resolved", "Many alerts: 10 more are over, 20 still hold"),
        ("all_resolved", "Many alerts: all 30 alerts are over"),
    ]
    assert not Group.objects.filter(closed_at=None).exists()


def test_twenty_threads_are_no_storm(make_webhook):
    make_webhook()
    raise_many(20)

    assert [row[0] for row in told()] == ["first"] * 20


def test_alerts_one_after_the_other_become_a_storm_too(make_webhook):
    make_webhook()
    for number in range(20):
        tell(number)
    raise_many(5, start=20)

    assert [row[0] for row in told()] == ["first"] * 20 + ["storm"]
    assert told()[-1][1] == "5 alerts at once"

    tell(25)
    assert len(told()) == 21
    pass_time(seconds=61)
    route_all()
    assert told()[-1][:2] == ("new_alerts", "check 25 is down")


def test_after_a_minute_alerts_have_threads_of_their_own_again(make_webhook):
    make_webhook()
    raise_many(25)
    pass_time(seconds=61)
    tell(30)

    assert [row[0] for row in told()] == ["storm", "first"]


def test_what_still_waits_for_company_joins_the_storm(make_webhook):
    make_route(make_webhook(), group_by=["alert"], group_wait_seconds=30)
    raise_many(15, severity="warning")
    assert told() == []

    raise_many(25, start=15, severity="critical")

    assert [row[:2] for row in told()] == [("storm", "40 alerts at once")]


def test_storm_of_one_route_leaves_the_others_alone(make_webhook):
    make_route(make_webhook(), group_by=["alert"])
    make_webhook()
    raise_many(25)
    tell(100, service="bank")

    reasons = Notification.objects.filter(group__route_name="Everything else")
    assert list(reasons.values_list("reason", flat=True)) == ["first", "first"]
