"""Silences: nobody is told meanwhile, everybody sees why, and what outlasts them is told."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import AuditRecord
from core.actors import SYSTEM
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from notifications.models import Event, Group, Notification, Silence
from notifications.services import silences
from tests.notifications.conftest import raise_alert, route_all
from tests.notifications.threads import make_route, mark_sent, pass_time, tell, told

pytestmark = pytest.mark.django_db

SHOP = [{"field": "service", "op": "=", "values": ["shop"]}]


def silence(**fields) -> Silence:
    given = {
        "matchers": SHOP,
        "ends_at": timezone.now() + timedelta(hours=1),
        "comment": "We move the shop.",
    }
    return silences.create(actor=SYSTEM, **given | fields)


def test_silenced_alert_is_kept_with_its_reason(make_webhook):
    make_webhook()
    row = silence()
    event = raise_alert()
    route_all()

    event.refresh_from_db()
    assert (event.routing, event.decided[0]) == ("suppressed", {"silence": row.pk})
    message = Notification.objects.get()
    assert (message.state, message.channel) == ("suppressed", None)
    ends = f"{row.ends_at:%d %b %Y %H:%M}"
    assert message.last_error == f"Silenced until {ends} UTC: We move the shop."


def test_others_are_told(make_webhook):
    make_webhook()
    silence()
    tell(1, service="bank")

    assert [row[2] for row in told()] == ["pending"]


def test_what_outlasts_a_silence_is_told_when_it_ends(make_webhook):
    make_webhook()
    row = silence()
    tell(1)
    assert [one[2] for one in told()] == ["suppressed"]

    silences.end(actor=SYSTEM, silence_id=row.pk)
    route_all()

    assert [one[:3:2] for one in told()] == [("first", "suppressed"), ("first", "pending")]


def test_what_is_over_before_the_silence_ends_is_told_to_nobody(make_webhook):
    make_webhook()
    silence()
    tell(1)
    tell(1, "resolved")

    assert {one[2] for one in told()} == {"suppressed"}
    assert not Group.objects.filter(closed_at=None).exists()


def test_end_of_what_was_told_before_is_told_in_spite_of_a_silence(make_webhook):
    make_webhook()
    tell(1)
    mark_sent()
    silence()
    tell(1, "resolved")

    assert [one[0] for one in told()] == ["first", "all_resolved"]


def test_silenced_alert_is_not_repeated(make_webhook):
    make_route(make_webhook(), repeat_seconds=60)
    tell(1)
    mark_sent()
    silence()
    pass_time(seconds=61)
    route_all()

    assert [one[0] for one in told()] == ["first"]
    assert Group.objects.get().repeat_at is not None


def test_silence_of_later_does_not_hold_yet(make_webhook):
    make_webhook()
    now = timezone.now()
    silence(starts_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=2))
    tell(1)

    assert [one[2] for one in told()] == ["pending"]


def test_information_in_a_silence_is_never_told(make_webhook):
    make_webhook()
    row = silence()
    event = raise_alert(status="info", severity="info")
    route_all()
    silences.end(actor=SYSTEM, silence_id=row.pk)
    route_all()

    assert [one[2] for one in told()] == ["suppressed"]
    assert Group.objects.count() == 0
    event.refresh_from_db()
    assert event.routing == Event.Routing.SUPPRESSED


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"ends_at": timezone.now() - timedelta(hours=1)}, "ends_at"),
        ({"ends_at": timezone.now() + timedelta(days=400)}, "ends_at"),
        ({"starts_at": timezone.now() - timedelta(hours=1)}, "starts_at"),
        ({"comment": " "}, "comment"),
        ({"matchers": []}, "everything"),
        ({"matchers": [{"field": "colour", "op": "=", "values": ["red"]}]}, "matchers"),
    ],
)
def test_unusable_silence_is_refused(fields, wrong):
    with pytest.raises(InvalidInputError) as refused:
        silence(**fields)

    assert list(refused.value.errors) == [wrong]
    assert Silence.objects.count() == 0


def test_everything_can_be_silenced_on_purpose(make_webhook):
    make_webhook()
    silence(matchers=[], everything=True)
    tell(1, service="anything")

    assert [one[2] for one in told()] == ["suppressed"]


def test_edit_ends_the_row_and_adds_one():
    old = silence()
    new = silences.replace(
        actor=SYSTEM,
        silence_id=old.pk,
        matchers=SHOP,
        ends_at=old.ends_at + timedelta(hours=1),
        comment="It takes longer.",
    )

    old.refresh_from_db()
    assert (new.replaces, old.ended_by) == (old, SYSTEM.name)
    assert old.ended_at is not None
    assert set(AuditRecord.objects.values_list("action", flat=True)) >= {
        "silence.created",
        "silence.replaced",
    }


def test_what_is_over_cannot_be_ended_or_replaced():
    row = silence()
    silences.end(actor=SYSTEM, silence_id=row.pk)
    before = Silence.objects.values().get()

    with pytest.raises(InvalidTransitionError):
        silences.end(actor=SYSTEM, silence_id=row.pk)
    with pytest.raises(NotFoundError):
        silences.end(actor=SYSTEM, silence_id=row.pk + 1)
    assert Silence.objects.values().get() == before
