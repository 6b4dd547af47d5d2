"""Threads: alerts that belong together are told together, and what changed in them."""

from datetime import timedelta

import pytest

from notifications.models import Event, Group, GroupMember, Notification
from notifications.services.flushing import TOO_SHORT
from tests.notifications.conftest import raise_alert, route_all
from tests.notifications.threads import make_route, mark_sent, pass_time, tell, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook(make_webhook):
    return make_webhook()


def test_alerts_of_a_service_share_a_thread(hook):
    make_route(hook)
    tell(1)
    tell(2)

    group = Group.objects.get()
    assert (group.common, group.last_seq, group.severity) == ({"service": "shop"}, 2, "critical")
    assert told() == [
        ("first", "check 1 is down", "pending"),
        ("new_alerts", "check 2 is down", "pending"),
    ]
    second = Notification.objects.order_by("pk").last()
    assert (second.seq, second.payload["firing"], second.payload["resolved"]) == (2, 2, 0)
    assert [one["title"] for one in second.payload["alerts"]] == [
        "check 2 is down",
        "check 1 is down",
    ]
    assert second.payload["dedup_key"] == group.key.hex


def test_alerts_raised_together_are_one_message(hook):
    make_route(hook)
    for number in (1, 2, 3):
        raise_alert(dedup_key=f"check:{number}")
    route_all()

    assert told() == [("first", "shop: 3 alerts", "pending")]


def test_thread_says_how_many_are_over_and_ends_with_the_last(hook):
    make_route(hook)
    for number in (1, 2):
        tell(number)
    mark_sent()
    tell(1, "resolved")
    mark_sent()
    tell(2, "resolved")

    assert [row[:2] for row in told()[2:]] == [
        ("new_resolved", "check 1 is up"),
        ("all_resolved", "shop: all 2 alerts are over"),
    ]
    statuses = Notification.objects.order_by("pk").values_list("payload__status", flat=True)
    assert list(statuses) == ["firing", "firing", "firing", "resolved"]
    group = Group.objects.get()
    assert not group.is_open
    assert (group.flush_at, group.repeat_at, group.last_seq) == (None, None, 4)


def test_what_fires_again_later_opens_another_thread(hook):
    make_route(hook)
    tell(1)
    mark_sent()
    tell(1, "resolved")
    tell(1, seq=3)

    assert [row[0] for row in told()] == ["first", "all_resolved", "first"]
    assert Group.objects.filter(closed_at=None).count() == 1
    assert Group.objects.count() == 2


def test_warning_waits_for_company_and_critical_does_not(hook):
    make_route(hook, group_wait_seconds=30)
    tell(1, severity="warning")
    assert told() == []

    tell(2, severity="warning")
    pass_time(seconds=31)
    route_all()
    assert told() == [("first", "shop: 2 alerts", "pending")]

    tell(3, severity="critical")
    assert told()[1:] == [("new_alerts", "check 3 is down", "pending")]
    assert Group.objects.get().severity == "critical"


def test_next_message_of_a_thread_keeps_its_distance(hook):
    make_route(hook, group_interval_seconds=300)
    tell(1, severity="warning")
    tell(2, severity="warning")
    assert [row[0] for row in told()] == ["first"]

    pass_time(seconds=301)
    route_all()
    assert [row[0] for row in told()] == ["first", "new_alerts"]


def test_what_is_over_before_anybody_was_told_is_not_told(hook):
    make_route(hook, group_wait_seconds=30)
    tell(1, severity="warning")
    tell(1, "resolved", severity="warning")

    row = Notification.objects.get()
    assert (row.state, row.last_error, row.channel) == ("suppressed", TOO_SHORT, None)
    assert not Group.objects.get().is_open
    assert GroupMember.objects.count() == 0
    assert Event.objects.get(status="resolved").routing == Event.Routing.SUPPRESSED


def test_what_came_again_between_two_messages_leaves_a_trace(hook):
    make_route(hook, group_interval_seconds=300)
    tell(1)
    tell(2)
    mark_sent()
    pass_time(minutes=6)
    tell(1, "resolved")
    mark_sent()
    tell(1, "firing", seq=3, severity="warning")
    tell(1, "resolved", seq=4)
    pass_time(minutes=6)
    route_all()

    why = Notification.objects.filter(state="suppressed").values_list("last_error", flat=True)
    assert list(why) == [TOO_SHORT]
    member = GroupMember.objects.get(dedup_key="check:1")
    assert (member.told, member.told_event_id) == ("resolved", member.event_id)
    assert Event.objects.get(transition_seq=4).routing == "suppressed"


def test_two_pieces_of_information_with_long_keys_are_told_both(hook):
    make_route(hook)
    for end in ("a", "b"):
        raise_alert(dedup_key="k" * 190 + end, status="info", title=f"News {end}")
    route_all()

    assert Event.objects.filter(routing="routed").count() == 2
    (message,) = Notification.objects.filter(state="pending")
    assert sorted(one["title"] for one in message.payload["alerts"]) == ["News a", "News b"]


def test_clock_that_was_set_back_keeps_nobody_waiting(hook):
    make_route(hook, group_interval_seconds=300)
    tell(1)
    mark_sent()
    pass_time(days=-3)
    tell(1, "resolved")

    due = Group.objects.get().flush_at
    assert due - Event.objects.order_by("pk").last().created_at < timedelta(minutes=6)


def test_what_still_holds_is_told_again(hook):
    make_route(hook, repeat_seconds=3_600)
    tell(1)
    mark_sent()
    route_all()
    assert len(told()) == 1

    pass_time(seconds=3_601)
    route_all()
    route_all()

    assert [row[0] for row in told()] == ["first", "repeat"]
    repeat = Notification.objects.get(reason="repeat")
    assert repeat.payload["note"] == "It still holds, for 1 h."
    assert repeat.seq == 2


def test_what_is_never_to_be_repeated_is_not(hook):
    make_route(hook, repeat_seconds=0)
    tell(1)

    assert Group.objects.get().repeat_at is None


def test_acknowledged_alert_is_not_repeated(hook):
    make_route(hook, repeat_seconds=3_600)
    tell(1)
    mark_sent()
    pass_time(seconds=3_601)
    member = GroupMember.objects.get()
    member.acked_at = member.since
    member.save(update_fields=["acked_at"])
    route_all()

    assert [row[0] for row in told()] == ["first"]
    assert Group.objects.get().repeat_at is not None


def test_untried_repeat_gives_way_to_news(hook):
    make_route(hook, repeat_seconds=3_600)
    tell(1)
    mark_sent()
    pass_time(seconds=3_601)
    route_all()
    tell(2)

    assert [(row[0], row[2]) for row in told()] == [
        ("first", "sent"),
        ("repeat", "superseded"),
        ("new_alerts", "pending"),
    ]


def test_each_piece_of_information_is_told_once(hook):
    make_route(hook)
    for seq in (1, 2):
        raise_alert(status="info", severity="info", transition_seq=seq, title=f"note {seq}")
    route_all()
    route_all()

    row = Notification.objects.get()
    assert (row.title, row.payload["status"]) == ("shop: 2 alerts", "info")
    assert [one["title"] for one in row.payload["alerts"]] == ["note 2", "note 1"]
    assert not Group.objects.get().is_open


def test_default_thread_keeps_the_key_of_its_alert(hook):
    tell(1)
    tell(2)

    keys = Notification.objects.order_by("pk").values_list("payload__dedup_key", "thread_key")
    first, second = Group.objects.order_by("pk")
    assert list(keys) == [("check:1", f"group:{first.pk}"), ("check:2", f"group:{second.pk}")]
    assert [first.route_name, first.common] == ["Everything else", {"alert": "check:1"}]


def test_event_knows_its_threads(hook):
    make_route(hook, go_on=True)
    event = raise_alert()
    route_all()

    event.refresh_from_db()
    keys = {group.route_name: group.pk for group in Group.objects.all()}
    assert event.decided == [
        {"route": "Shop", "group": keys["Shop"]},
        {"route": "Everything else", "group": keys["Everything else"]},
    ]
