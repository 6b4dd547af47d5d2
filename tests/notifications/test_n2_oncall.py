"""Who is on call: weeks in a time zone, changes of the clocks, gaps, and who stands in."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from audit.models import AuditRecord
from core.actors import SYSTEM
from core.errors import InvalidInputError, InvalidTransitionError
from notifications.engine.weeks import Override, Slot, stretches, who_at
from notifications.models import OnCallOverride, OnCallSchedule
from notifications.selectors import oncall as selectors
from notifications.services import oncall
from tests.notifications.escalations import chain, person

VIENNA = ZoneInfo("Europe/Vienna")
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def parts(found):
    return [(f"{part.starts:%a %H:%M}", f"{part.ends:%a %H:%M}", part.who) for part in found]


def test_a_night_lies_on_two_days_and_the_rest_is_a_gap():
    slots = [Slot(0, time(20), time(8), "ada")]
    found = stretches(slots, [], ZoneInfo("UTC"), MONDAY, MONDAY + timedelta(days=2))
    assert parts(found) == [
        ("Mon 00:00", "Mon 20:00", None),
        ("Mon 20:00", "Tue 08:00", "ada"),
        ("Tue 08:00", "Wed 00:00", None),
    ]


def test_a_night_that_began_before_the_week_is_in_it():
    slots = [Slot(6, time(20), time(8), "ada")]
    assert who_at(slots, [], ZoneInfo("UTC"), MONDAY + timedelta(hours=3)) == "ada"
    assert who_at(slots, [], ZoneInfo("UTC"), MONDAY + timedelta(hours=8)) is None


def test_equal_ends_make_a_whole_day():
    slots = [Slot(day, time(0), time(0), "ada") for day in range(7)]
    found = stretches(slots, [], VIENNA, MONDAY, MONDAY + timedelta(days=7))
    assert [part.who for part in found] == ["ada"]


def test_of_two_slots_the_later_one_counts():
    slots = [Slot(0, time(0), time(0), "ada"), Slot(0, time(9), time(12), "bob")]
    found = stretches(slots, [], ZoneInfo("UTC"), MONDAY, MONDAY + timedelta(days=1))
    assert parts(found) == [
        ("Mon 00:00", "Mon 09:00", "ada"),
        ("Mon 09:00", "Mon 12:00", "bob"),
        ("Mon 12:00", "Tue 00:00", "ada"),
    ]


def test_whoever_stands_in_counts_and_the_newest_of_two():
    slots = [Slot(0, time(0), time(0), "ada")]
    stand_ins = [
        Override(at("2026-11-16T06:00"), at("2026-11-16T12:00"), "bob"),
        Override(at("2026-11-16T10:00"), at("2026-11-16T11:00"), "eve"),
    ]
    found = stretches(slots, stand_ins, ZoneInfo("UTC"), MONDAY, MONDAY + timedelta(days=1))
    assert [(part.who, part.is_override) for part in found] == [
        ("ada", False),
        ("bob", True),
        ("eve", True),
        ("bob", True),
        ("ada", False),
    ]


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-28", 11), ("2026-10-24", 13), ("2026-11-14", 12)],
)
def test_a_night_over_a_change_of_the_clocks_is_an_hour_shorter_or_longer(day, hours):
    slots = [Slot(5, time(20), time(8), "ada")]
    start = datetime.fromisoformat(day).replace(tzinfo=VIENNA).astimezone(UTC)
    found = stretches(slots, [], VIENNA, start, start + timedelta(days=2, hours=2))
    night = next(part for part in found if part.who == "ada")
    assert night.seconds == hours * 3600
    assert f"{night.starts.astimezone(VIENNA):%H:%M}" == "20:00"
    assert f"{night.ends.astimezone(VIENNA):%H:%M}" == "08:00"


def test_hours_that_do_not_exist_that_night_leave_no_hole():
    slots = [Slot(6, time(0), time(2, 30), "ada"), Slot(6, time(2, 30), time(0), "bob")]
    start = datetime(2026, 3, 29, tzinfo=VIENNA).astimezone(UTC)
    found = stretches(slots, [], VIENNA, start, start + timedelta(hours=23))
    assert [part.who for part in found] == ["ada", "bob"]
    assert sum(part.seconds for part in found) == 23 * 3600


@pytest.fixture
def ada(make_user):
    return person(make_user, "ada")


def schedule_of(user, **hours):
    slots = [
        {
            "weekday": day,
            "starts": hours.get("starts", time(0)),
            "ends": hours.get("ends", time(0)),
            "user": user.pk,
        }
        for day in range(7)
    ]
    return oncall.create(actor=SYSTEM, name="Duty", slots=slots, time_zone="Europe/Vienna")


@pytest.mark.django_db
def test_the_rows_tell_who_is_on_call(ada, make_user):
    bob = person(make_user, "bob")
    schedule = schedule_of(ada)
    now = timezone.now()
    assert selectors.who(schedule.pk, now) == ada
    oncall.stand_in(
        actor=SYSTEM,
        schedule_id=schedule.pk,
        user_id=bob.pk,
        starts_at=now - timedelta(minutes=1),
        ends_at=now + timedelta(hours=1),
    )
    assert selectors.who(schedule.pk, timezone.now()) == bob
    # Who was on call until then stays so.
    assert selectors.who(schedule.pk, now) == ada
    assert selectors.who(schedule.pk, now + timedelta(hours=2)) == ada
    assert selectors.who(4711, now) is None


@pytest.mark.django_db
def test_a_week_begins_on_monday_in_its_zone(ada):
    [whole] = selectors.week(schedule_of(ada), date(2026, 10, 22))
    assert f"{whole.starts.astimezone(VIENNA):%a %d %b %H:%M}" == "Mon 19 Oct 00:00"
    assert f"{whole.ends.astimezone(VIENNA):%a %d %b %H:%M}" == "Mon 26 Oct 00:00"
    assert whole.seconds == (7 * 24 + 1) * 3600


@pytest.mark.django_db
def test_a_disabled_person_leaves_a_gap(ada):
    schedule = schedule_of(ada)
    assert selectors.gaps(schedule) == []
    type(ada).objects.filter(pk=ada.pk).update(is_active=False)
    [gap] = selectors.gaps(schedule)
    assert gap.seconds == 7 * 24 * 3600


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"name": ""}, "name"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"slots": [{"weekday": 7, "starts": time(0), "ends": time(1)}]}, "slots.1"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(ada, change, wrong):
    given = {"name": "Duty", "time_zone": "UTC", "slots": [], **change}
    given["slots"] = [{**slot, "user": ada.pk} for slot in given["slots"]]
    with pytest.raises(InvalidInputError) as caught:
        oncall.create(actor=SYSTEM, **given)
    assert list(caught.value.errors) == [wrong]
    assert not OnCallSchedule.objects.exists()


@pytest.mark.django_db
def test_a_name_is_given_once(ada):
    schedule_of(ada)
    with pytest.raises(InvalidInputError, match="cannot be set up") as caught:
        schedule_of(ada)
    assert caught.value.errors == {"name": ["There is a schedule of this name."]}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("start", "end"),
    [(2, 1), (-2, -1), (0, 24 * 61)],
)
def test_a_stand_in_that_makes_no_sense_is_refused(ada, start, end):
    schedule = schedule_of(ada)
    now = timezone.now()
    with pytest.raises(InvalidInputError) as caught:
        oncall.stand_in(
            actor=SYSTEM,
            schedule_id=schedule.pk,
            user_id=ada.pk,
            starts_at=now + timedelta(hours=start),
            ends_at=now + timedelta(hours=end),
        )
    assert list(caught.value.errors) == ["ends_at"]
    assert not OnCallOverride.objects.exists()


@pytest.mark.django_db
def test_ending_a_stand_in_keeps_what_has_passed(ada):
    schedule = schedule_of(ada)
    now = timezone.now()
    given = {"actor": SYSTEM, "schedule_id": schedule.pk, "user_id": ada.pk}
    begun = oncall.stand_in(
        **given, starts_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=1)
    )
    coming = oncall.stand_in(
        **given, starts_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=2)
    )
    oncall.end_override(actor=SYSTEM, override_id=begun.pk, of_others=True)
    oncall.end_override(actor=SYSTEM, override_id=coming.pk, of_others=True)
    [left] = OnCallOverride.objects.all()
    assert (left.pk, left.starts_at) == (begun.pk, begun.starts_at)
    assert left.ends_at <= timezone.now()
    with pytest.raises(InvalidTransitionError):
        oncall.end_override(actor=SYSTEM, override_id=begun.pk, of_others=True)
    actions = AuditRecord.objects.filter(action__startswith="oncall.").order_by("pk")
    assert [row.action for row in actions] == [
        "oncall.created",
        "oncall.override_added",
        "oncall.override_added",
        "oncall.override_ended",
        "oncall.override_ended",
    ]


@pytest.mark.django_db
def test_a_schedule_that_an_escalation_names_stays(ada):
    schedule = schedule_of(ada)
    chain({"schedules": [schedule.pk]}, name="Night")
    with pytest.raises(InvalidTransitionError, match="An escalation names it: Night"):
        oncall.delete(actor=SYSTEM, schedule_id=schedule.pk)
    assert OnCallSchedule.objects.filter(pk=schedule.pk).exists()
