"""What is overtaken before it leaves, and ends that are told to those who know of the beginning."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.services.acts import act
from audit.services.records import record
from core.actors import SYSTEM
from notifications.models import Event, Group, Notification, Preference
from notifications.services import channels, fallback, holds, outbox
from tests.notifications.conftest import raise_alert, route_all
from tests.notifications.escalations import people_mail, person
from tests.notifications.threads import make_route, mark_sent, pass_time, tell, told

pytestmark = pytest.mark.django_db

ALWAYS_QUIET = {"quiet_from": "00:00", "quiet_until": "23:59", "time_zone": "UTC"}


def by_user(user) -> list[tuple[str, str]]:
    rows = Notification.objects.filter(user=user).order_by("pk")
    return list(rows.values_list("reason", "title"))


@pytest.fixture
def quiet(make_webhook):
    return make_webhook(**ALWAYS_QUIET)


def test_what_quiet_hours_hold_gives_way_to_what_leaves_before_it(quiet):
    make_route(quiet)
    tell(1, severity="warning")
    tell(1, severity="critical", seq=2)

    held, sent = Notification.objects.order_by("pk")
    assert (held.state, held.superseded_by) == ("superseded", sent)
    assert (sent.state, sent.reason) == ("pending", "update")


def test_what_is_held_does_not_give_way_to_what_is_held_too(quiet):
    make_route(quiet)
    tell(1, severity="warning")
    tell(1, severity="warning", seq=2)

    assert [(row[0], row[2]) for row in told()] == [("first", "held"), ("update", "held")]


def test_held_information_is_told_all_the_same(quiet):
    make_route(quiet)
    tell(7, "info", severity="info", seq=1)
    Group.objects.update(closed_at=None)
    tell(1, severity="critical")

    assert [row[2] for row in told()] == ["held", "pending"]


@pytest.fixture
def doubled(make_webhook):
    """Return a channel and the one that stands in for it."""
    channel, other = make_webhook(), make_webhook()
    channels.update(actor=SYSTEM, channel_id=channel.pk, fallback=other)
    make_route(channel)
    return channel, other


def test_released_messages_have_their_time_before_a_fallback_tells_them(doubled):
    tell(1)
    Notification.objects.update(
        created_at=timezone.now() - timedelta(hours=5),
        expires_at=timezone.now() + timedelta(hours=19),
    )
    holds.place(actor=SYSTEM, reason="Restored.")
    holds.release(actor=SYSTEM, cancel_old=False)

    assert fallback.late() == 0


def test_retried_message_has_its_time_before_a_fallback_tells_it(doubled):
    tell(1)
    [row] = Notification.objects.all()
    Notification.objects.update(
        state="dead",
        last_error="It answered 500.",
        created_at=timezone.now() - timedelta(hours=5),
        expires_at=timezone.now() + timedelta(hours=19),
    )
    outbox.retry(actor=SYSTEM, notification_id=row.pk)

    assert fallback.late() == 0


def test_end_of_a_critical_alert_is_told_to_whoever_wants_only_those(make_webhook, make_user):
    people_mail()
    ada = person(make_user, "ada")
    with act():
        Preference.objects.create(user=ada, subscribes=True, min_severity="critical")
        record(actor=SYSTEM, action="preference.updated")
    make_route(make_webhook())
    tell(1, severity="critical")
    tell(2, severity="warning")
    mark_sent()
    tell(1, "resolved")

    assert by_user(ada) == [
        ("first", "check 1 is down"),
        ("new_alerts", "check 2 is down"),
        ("new_resolved", "check 1 is up"),
    ]
    # What receivers are told is as grave as what still holds.
    end = Notification.objects.get(reason="new_resolved", user=ada)
    assert (end.severity, end.payload["severity"]) == ("critical", "warning")
    assert Group.objects.get().severity == "warning"


def test_quiet_hours_do_not_hold_the_end_of_what_they_let_pass(quiet):
    make_route(quiet)
    tell(1, severity="critical")
    mark_sent()
    tell(2, severity="warning")
    tell(1, "resolved")
    mark_sent()
    tell(2, "resolved", severity="warning")

    assert [(row[0], row[2]) for row in told()] == [
        ("first", "sent"),
        ("new_alerts", "sent"),
        ("new_resolved", "sent"),
        ("all_resolved", "pending"),
    ]


def test_information_is_not_counted_among_what_is_over(make_webhook):
    make_route(make_webhook(), group_interval_seconds=300)
    tell(1)
    mark_sent()
    for number in (7, 8):
        tell(number, "info", severity="info", seq=1)
    tell(1, "resolved")
    pass_time(seconds=400)
    route_all()

    end = Notification.objects.get(reason="all_resolved")
    assert end.title == "check 1 is up; 2 more messages"
    assert [one["status"] for one in end.payload["alerts"]] == ["resolved", "info", "info"]


def test_every_flap_leaves_a_row_that_says_why(make_webhook):
    make_route(make_webhook(), group_wait_seconds=30)
    for status, seq in (("firing", 1), ("resolved", 2)):
        for number in range(60):
            raise_alert(
                dedup_key=f"check:{number}",
                severity="warning",
                status=status,
                transition_seq=seq,
            )
        route_all()
    pass_time(seconds=60)
    route_all()

    assert Notification.objects.filter(state="suppressed").count() == 60
    assert Event.objects.filter(routing="suppressed").count() == 60


def test_channel_that_is_switched_on_later_is_told_where_nothing_repeats(make_webhook):
    channel = make_webhook()
    make_route(channel, repeat_seconds=0)
    channels.update(actor=SYSTEM, channel_id=channel.pk, enabled=False)
    tell(1)
    channels.update(actor=SYSTEM, channel_id=channel.pk, enabled=True)
    pass_time(minutes=6)
    route_all()
    mark_sent()
    pass_time(hours=10)
    route_all()

    assert [(row[0], row[2]) for row in told()] == [("first", "dead"), ("repeat", "sent")]


def release_without_the_old() -> None:
    holds.place(actor=SYSTEM, reason="Restored.")
    Notification.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    holds.release(actor=SYSTEM, cancel_old=True)


def test_thread_whose_first_message_was_cancelled_tells_what_still_holds(make_webhook):
    make_route(make_webhook())
    tell(1)
    release_without_the_old()
    route_all()

    assert [(row[0], row[2]) for row in told()] == [("first", "cancelled"), ("first", "pending")]


def test_nobody_is_told_the_end_of_what_was_cancelled(make_webhook):
    make_route(make_webhook())
    tell(1)
    release_without_the_old()
    tell(1, "resolved")

    assert [(row[0], row[2]) for row in told()] == [
        ("first", "cancelled"),
        ("all_resolved", "suppressed"),
    ]
    assert Group.objects.get().closed_at is not None


def test_thread_that_was_heard_before_tells_how_it_stands(make_webhook):
    make_route(make_webhook())
    tell(1)
    mark_sent()
    tell(1, severity="critical", seq=2)
    release_without_the_old()
    route_all()
    tell(1, "resolved", seq=3)

    assert [(row[0], row[2]) for row in told()] == [
        ("first", "sent"),
        ("update", "cancelled"),
        ("update", "superseded"),
        ("all_resolved", "pending"),
    ]
