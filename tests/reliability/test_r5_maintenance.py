"""Maintenance is declared, changed and cancelled, and tells when it begins and ends (R5)."""

from datetime import timedelta
from itertools import pairwise

import pytest
import time_machine
from django.utils import timezone

from audit.models import AuditRecord
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from notifications.models import Event
from reliability.models import MaintenanceOccurrence, MaintenanceWindow
from reliability.selectors import maintenance as selectors
from reliability.services import maintenance

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def now():
    """Let the clock stand still at a whole minute."""
    with time_machine.travel("2026-03-02T10:00:00Z", tick=False):
        yield timezone.now()


@pytest.fixture
def declare(operator):
    """Return a function that declares an hour of maintenance."""

    def make(**fields):
        return maintenance.declare(
            actor=operator, **{"title": "New disks", "duration_seconds": 3_600, **fields}
        )

    return make


def spans(window):
    return list(window.occurrences.order_by("starts_at").values_list("starts_at", "ends_at"))


def test_once_is_one_time(now, declare, make_service):
    service, other = make_service(), make_service()

    window = declare(starts_at=now + HOUR, services=[service.pk])

    assert spans(window) == [(now + HOUR, now + 2 * HOUR)]
    assert selectors.holding(service.pk) is None
    assert selectors.holding(service.pk, at=now + HOUR) == window
    assert selectors.holding(service.pk, at=now + 2 * HOUR) is None
    assert selectors.holding(other.pk, at=now + HOUR) is None
    assert AuditRecord.objects.filter(action="maintenance.declared").count() == 1


def test_no_services_means_every_service(now, declare, make_service):
    service = make_service()

    window = declare(starts_at=now)

    assert selectors.holding(service.pk) == window
    assert selectors.intervals([service.pk], start=now - HOUR, end=now + 9 * HOUR) == {
        service.pk: [(now, now + HOUR)]
    }


def test_overlapping_times_are_one_and_clipped(now, declare, make_service):
    one, two, three = (make_service() for _ in range(3))
    declare(starts_at=now, services=[one.pk, two.pk])
    declare(starts_at=now + HOUR / 2, services=[one.pk])
    declare(starts_at=now + 3 * HOUR, services=[one.pk])

    found = selectors.intervals(
        [one.pk, two.pk, three.pk], start=now + HOUR / 4, end=now + 3.5 * HOUR
    )

    assert found == {
        one.pk: [(now + HOUR / 4, now + 1.5 * HOUR), (now + 3 * HOUR, now + 3.5 * HOUR)],
        two.pk: [(now + HOUR / 4, now + HOUR)],
    }


def test_intervals_cost_the_same_for_many_services(
    now, declare, make_service, django_assert_num_queries
):
    keys = [make_service().pk for _ in range(5)]
    for key in keys:
        declare(starts_at=now, services=[key])

    with django_assert_num_queries(2):
        assert len(selectors.intervals(keys, start=now, end=now + HOUR)) == 5


def test_what_comes_again_is_planned_sixty_days_ahead(now, declare):
    window = declare(starts_at=now + HOUR, repeat="daily", time_zone="Europe/Berlin")

    found = spans(window)

    # The clocks go forward on 29 March; the wall shows 12:00 on each day.
    assert len(found) == 60
    assert {start.hour for start, _ in found[:27]} == {11}
    assert {start.hour for start, _ in found[27:]} == {10}
    assert {end - start for start, end in found} == {HOUR}


def test_planning_goes_on_and_plans_nothing_twice(now, declare):
    window = declare(starts_at=now + HOUR, repeat="weekly")
    assert maintenance.plan_ahead() == 0
    before = len(spans(window))

    later = now + timedelta(days=30)
    assert (maintenance.plan_ahead(now=later), maintenance.plan_ahead(now=later)) == (1, 0)

    starts = [start for start, _ in spans(window)]
    assert len(starts) == before + 4
    assert {second - first for first, second in pairwise(starts)} == {timedelta(days=7)}


def test_what_comes_every_minute_is_planned_in_parts(now, declare):
    window = declare(starts_at=now, repeat="cron", cron="* * * * *", duration_seconds=60)
    assert window.occurrences.count() == 400

    maintenance.plan_ahead()

    window.refresh_from_db()
    assert window.occurrences.count() == 800
    last = window.occurrences.latest("starts_at")
    assert last.starts_at == window.planned_until


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"title": ""}, "title"),
        ({"duration_seconds": 59}, "duration_seconds"),
        ({"duration_seconds": 31 * 86_400}, "duration_seconds"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"repeat": "cron", "cron": "61 * * * *"}, "cron"),
        ({"repeat": "hourly"}, "repeat"),
        ({"weekdays": [7]}, "weekdays"),
        ({"month_days": [0]}, "month_days"),
        ({"every": 0}, "every"),
        ({"count": 0}, "count"),
        ({"services": [987_654]}, "services"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(now, declare, fields, named):
    with pytest.raises(InvalidInputError) as caught:
        declare(**{"starts_at": now + HOUR, **fields})

    assert list(caught.value.errors) == [named]
    assert (MaintenanceWindow.objects.count(), MaintenanceOccurrence.objects.count()) == (0, 0)


def test_an_end_before_the_beginning_is_refused(now, declare):
    with pytest.raises(InvalidInputError, match="ends before"):
        declare(starts_at=now + HOUR, repeat="daily", until=now)

    assert MaintenanceWindow.objects.count() == 0


@pytest.mark.parametrize(
    ("ago", "reason", "named"),
    [
        (timedelta(minutes=6), "", "reason"),
        (timedelta(days=7, minutes=1), "The disk died.", "starts_at"),
    ],
)
def test_the_past_needs_a_reason_and_is_at_most_a_week(now, declare, ago, reason, named):
    with pytest.raises(InvalidInputError) as caught:
        declare(starts_at=now - ago, reason=reason)

    assert list(caught.value.errors) == [named]
    assert MaintenanceOccurrence.objects.count() == 0


def test_the_past_with_a_reason_counts_and_nobody_is_told(now, declare):
    window = declare(starts_at=now - timedelta(days=3), reason="The disk died.")

    assert spans(window) == [(now - timedelta(days=3), now - timedelta(days=3) + HOUR)]
    assert maintenance.tell_turns() == 0
    assert Event.objects.count() == 0
    assert AuditRecord.objects.get(action="maintenance.declared").reason == "The disk died."


def test_begin_and_end_are_told_once(now, declare, make_service):
    service = make_service(name="Shop")
    declare(starts_at=now + HOUR, services=[service.pk])
    assert maintenance.tell_turns() == 0

    assert [maintenance.tell_turns(now=now + HOUR) for _ in range(2)] == [1, 0]
    assert [maintenance.tell_turns(now=now + 2 * HOUR) for _ in range(2)] == [1, 0]

    told = list(Event.objects.order_by("pk").values_list("kind", "severity", "title", "service"))
    assert told == [
        ("reliability.maintenance", "info", "Maintenance has begun: New disks", "Shop"),
        ("reliability.maintenance", "info", "Maintenance has ended: New disks", "Shop"),
    ]
    acts = AuditRecord.objects.filter(action__startswith="maintenance.").order_by("pk")
    assert list(acts.values_list("action", flat=True)) == [
        "maintenance.declared",
        "maintenance.begun",
        "maintenance.ended",
    ]


def test_cancelling_keeps_the_past_and_ends_the_present(now, declare, operator):
    window = declare(starts_at=now - HOUR / 12, repeat="daily")
    with time_machine.travel(now + HOUR / 2, tick=False):
        maintenance.tell_turns()

        maintenance.cancel(actor=operator, window_id=window.pk)

        assert spans(window) == [(now - HOUR / 12, now + HOUR / 2)]
        assert maintenance.tell_turns() == 1
        assert maintenance.plan_ahead(now=now + timedelta(days=90)) == 0
        with pytest.raises(InvalidTransitionError):
            maintenance.cancel(actor=operator, window_id=window.pk)
        with pytest.raises(InvalidTransitionError):
            maintenance.change(actor=operator, window_id=window.pk, title="Other")


def test_a_change_of_the_plan_leaves_the_past(now, declare, operator):
    window = declare(starts_at=now, repeat="daily")
    later = now + timedelta(days=2, hours=5)
    with time_machine.travel(later, tick=False):
        maintenance.change(actor=operator, window_id=window.pk, duration_seconds=7_200)

    found = spans(window)
    assert [end - start for start, end in found[:3]] == [HOUR] * 3
    assert {end - start for start, end in found[3:]} == {2 * HOUR}
    assert len({start for start, _ in found}) == len(found)


def test_what_holds_can_be_made_longer(now, declare, operator, make_service):
    service = make_service()
    window = declare(starts_at=now, services=[service.pk])
    with time_machine.travel(now + HOUR / 2, tick=False):
        maintenance.change(actor=operator, window_id=window.pk, duration_seconds=7_200)

        assert spans(window) == [(now, now + 2 * HOUR)]
        assert selectors.holding(service.pk, at=now + 1.9 * HOUR) == window


def test_services_change_only_before_it_begins(now, declare, operator, make_service):
    first, second = make_service(), make_service()
    window = declare(starts_at=now + HOUR, services=[first.pk])
    maintenance.change(actor=operator, window_id=window.pk, services=[second.pk])
    assert selectors.holding(second.pk, at=now + HOUR) == window

    with time_machine.travel(now + 1.5 * HOUR, tick=False), pytest.raises(InvalidTransitionError):
        maintenance.change(actor=operator, window_id=window.pk, services=[first.pk])

    assert list(window.services.all()) == [second]


def test_only_what_never_began_can_be_deleted(now, declare, operator):
    begun, planned = declare(starts_at=now), declare(starts_at=now + HOUR)

    maintenance.delete(actor=operator, window_id=planned.pk)
    with pytest.raises(InvalidTransitionError):
        maintenance.delete(actor=operator, window_id=begun.pk)
    with pytest.raises(NotFoundError):
        maintenance.delete(actor=operator, window_id=planned.pk)

    assert list(MaintenanceWindow.objects.all()) == [begun]


def test_a_look_at_the_next_times_saves_nothing(now):
    found = maintenance.preview(
        title="Patch day",
        duration_seconds=3_600,
        starts_at=now,
        repeat="monthly",
        month_days=[-1],
        most=3,
    )

    assert [start.date().isoformat() for start, _ in found] == [
        "2026-03-31",
        "2026-04-30",
        "2026-05-31",
    ]
    assert MaintenanceWindow.objects.count() == 0


def test_what_is_cancelled_or_deleted_meanwhile_is_planned_no_further(
    now, declare, operator, monkeypatch
):
    first, cancelled, deleted = (
        declare(starts_at=now + HOUR, repeat="daily", title=title) for title in "abc"
    )
    real, seen = maintenance._plan, []

    def plan(window, when):
        """Plan the first while somebody ends the others."""
        if not seen:
            maintenance.cancel(actor=operator, window_id=cancelled.pk)
            MaintenanceWindow.objects.filter(pk=deleted.pk).delete()
        seen.append(window.pk)
        real(window, when)

    monkeypatch.setattr(maintenance, "_plan", plan)

    maintenance.plan_ahead(now=now + timedelta(days=9))

    assert seen == [first.pk]
    assert cancelled.occurrences.count() == 0


def test_what_was_over_before_it_could_be_told_is_told_once(now, declare, make_service):
    service = make_service(name="Shop")
    declare(starts_at=now + HOUR, services=[service.pk])

    assert maintenance.tell_turns(now=now + 9 * HOUR) == 1
    assert maintenance.tell_turns(now=now + 9 * HOUR) == 0

    told = Event.objects.get()
    assert told.title == "Maintenance has ended: New disks"
    assert told.body == (
        "Shop. It held 2026-03-02 11:00 to 2026-03-02 12:00, UTC. What still fails is told now."
    )


def test_what_is_made_longer_meanwhile_has_not_ended(now, declare):
    window = declare(starts_at=now)
    maintenance.tell_turns(now=now)
    key = window.occurrences.get().pk
    window.occurrences.update(ends_at=now + 3 * HOUR)

    assert maintenance._end(key, now + HOUR) is False

    assert not window.occurrences.get().ended


def test_a_count_is_followed_to_its_last_time_and_has_a_limit(now, declare):
    window = declare(starts_at=now, repeat="cron", cron="* * * * *", duration_seconds=60, count=999)
    for _ in range(4):
        maintenance.plan_ahead(now=now)

    assert window.occurrences.count() == 999
    with pytest.raises(InvalidInputError) as refused:
        declare(starts_at=now, repeat="daily", count=1001)
    assert list(refused.value.errors) == ["count"]
    assert MaintenanceWindow.objects.count() == 1


def test_what_a_terminal_left_in_a_description_is_not_stored(now, declare):
    window = declare(starts_at=now, description="New\x1b[1m disks\x01\nand fans")

    window.refresh_from_db()
    assert window.description == "New [1m disks \nand fans"
