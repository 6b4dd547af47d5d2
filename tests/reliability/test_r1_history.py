"""History: buckets against a naive count, windows, gaps, pauses, and how far open time reaches."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from reliability.engine.history import Shares, Stood, Stretch, history, line, worst_of
from reliability.models import Check, CheckState, StateSegment
from reliability.selectors.history import of_checks, of_services
from reliability.services import catalogue

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = 1_000_000
HOUR = 3600 * SECOND


def naive(segments, since, at):
    """Return what a check counts as at a moment, by looking at every segment."""
    if at < since:
        return Stood.ABSENT
    for stretch in segments:
        if stretch.start <= at < stretch.end:
            return stretch.stood
    return Stood.UNKNOWN


def random_segments(rng, length):
    """Return segments with holes, overlaps, zero lengths and ends outside the window."""
    cursor, found = rng.randrange(-20, 20), []
    while cursor < length + 10:
        end = cursor + rng.choice([0, 1, 3, 10, 25])
        found.append(Stretch(rng.choice(list(Stood)[:6]), cursor, end))
        cursor = end + rng.choice([0, 0, 0, 2, 7])
    return found


@pytest.mark.parametrize("seed", range(200))
def test_buckets_hold_what_a_count_of_every_moment_holds(seed):
    rng = random.Random(seed)  # noqa: S311  # repeatable, not secret
    length, buckets = 120, rng.choice([1, 4, 7, 24])
    checks = [
        (random_segments(rng, length), rng.randrange(-10, length + 10))
        for _ in range(rng.choice([1, 1, 2, 5]))
    ]
    lines = [line(found, since=since, start=0, end=length) for found, since in checks]

    found = history(worst_of(lines), start=0, end=length, buckets=buckets)

    edges = [length * number // buckets for number in range(buckets + 1)]
    for number, bucket in enumerate(found.buckets):
        expected = Shares()
        for at in range(edges[number], edges[number + 1]):
            expected.add(min(naive(*check, at) for check in checks), 1)
        assert bucket.shares == expected
    assert sum(bucket.end - bucket.start for bucket in found.buckets) == length
    whole = found.total
    counted = whole.known + whole.unknown + whole.maintenance + whole.paused + whole.absent
    assert counted == length


@pytest.mark.parametrize(
    ("shares", "availability", "worst"),
    [
        (Shares(up=100), 1.0, Stood.UP),
        (Shares(up=99, down=1), 0.99, Stood.DOWN),
        (Shares(up=50, degraded=50), 1.0, Stood.DEGRADED),
        (Shares(up=90, unknown=10), 1.0, Stood.UP),
        (Shares(up=89, unknown=11), 1.0, Stood.UNKNOWN),
        (Shares(unknown=100), None, Stood.UNKNOWN),
        (Shares(paused=100), None, Stood.PAUSED),
        (Shares(absent=100), None, Stood.ABSENT),
        (Shares(up=10, paused=90), 1.0, Stood.UP),
        (Shares(), None, Stood.ABSENT),
    ],
)
def test_unknown_time_is_neither_up_nor_down(shares, availability, worst):
    assert (shares.availability, shares.worst) == (availability, worst)


def test_too_little_known_time_is_no_basis():
    assert Shares(up=9, unknown=1).is_covered
    assert not Shares(up=89, unknown=11).is_covered
    assert Shares(up=1, paused=99, absent=99).coverage == 1.0
    assert not Shares(paused=1).is_covered


def segments_of(check, *parts, created=timedelta(days=100)):
    """Replace the history of a check: (standing, hours ago begun, hours ago ended or None)."""
    StateSegment.objects.filter(check_of=check).delete()
    Check.objects.filter(pk=check.pk).update(created_at=NOW - created)
    for standing, begun, ended, *reason in parts:
        StateSegment.objects.create(
            check_of=check,
            standing=standing,
            started_at=NOW - timedelta(hours=begun),
            ended_at=None if ended is None else NOW - timedelta(hours=ended),
            reason="".join(reason),
        )
    CheckState.objects.filter(check_of=check).update(last_at=NOW)


def a_day(check, buckets=24):
    return of_checks([check.pk], window=timedelta(hours=24), buckets=buckets, now=NOW)[check.pk]


@pytest.mark.django_db
def test_segments_are_cut_at_the_borders_of_the_window(make_check):
    check = make_check()
    segments_of(check, ("down", 30, 23), ("up", 23, None))

    found = a_day(check)

    assert (found.total.down, found.total.up, found.total.unknown) == (HOUR, 23 * HOUR, 0)
    assert [bucket.shares.worst for bucket in found.buckets[:3]] == [
        Stood.DOWN,
        Stood.UP,
        Stood.UP,
    ]


@pytest.mark.django_db
def test_a_segment_that_spans_the_whole_window_fills_it(make_check):
    check = make_check()
    segments_of(check, ("up", 300, None))

    assert a_day(check).total == Shares(up=24 * HOUR)


@pytest.mark.django_db
def test_a_hole_is_unknown_and_time_before_the_check_is_absent(make_check):
    check = make_check()
    segments_of(check, ("up", 12, 6), ("up", 5, None), created=timedelta(hours=13))

    total = a_day(check).total

    assert total == Shares(up=11 * HOUR, unknown=2 * HOUR, absent=11 * HOUR)
    assert total.coverage == pytest.approx(11 / 13)


@pytest.mark.django_db
def test_time_switched_off_is_left_out(make_check):
    check = make_check()
    segments_of(check, ("up", 30, 12), ("unknown", 12, 6, "switched off"), ("up", 6, None))

    total = a_day(check).total

    assert total == Shares(up=18 * HOUR, paused=6 * HOUR)
    assert (total.availability, total.coverage) == (1.0, 1.0)


@pytest.mark.django_db
def test_an_open_segment_ends_when_its_last_result_expires(make_check):
    check = make_check(interval_seconds=600, timeout_seconds=10)
    segments_of(check, ("up", 30, None))
    CheckState.objects.filter(check_of=check).update(last_at=NOW - timedelta(hours=10))

    total = a_day(check).total

    known = 14 * HOUR + 910 * SECOND
    assert total == Shares(up=known, unknown=24 * HOUR - known)


@pytest.mark.django_db
def test_a_service_stands_as_its_worst_check(make_service, make_check):
    service = make_service()
    first, second, third = (make_check(service=service) for _ in range(3))
    segments_of(first, ("up", 30, None))
    segments_of(second, ("up", 30, 10), ("down", 10, 8), ("degraded", 8, 7), ("up", 7, None))
    segments_of(third, ("unknown", 9, None, "switched off"), created=timedelta(hours=9))

    total = of_services([service.pk], window=timedelta(hours=24), buckets=24, now=NOW)[
        service.pk
    ].total

    assert total == Shares(up=21 * HOUR, down=2 * HOUR, degraded=HOUR)


@pytest.mark.django_db
def test_a_service_without_checks_has_no_history(make_service):
    service = make_service()

    found = of_services([service.pk], window=timedelta(hours=24), buckets=4, now=NOW)[service.pk]

    assert found.total == Shares(absent=24 * HOUR)
    assert len(found.buckets) == 4


@pytest.mark.django_db
def test_many_services_take_four_queries(make_service, make_check):
    services = [make_service().pk for _ in range(5)]
    for key in services:
        for _ in range(3):
            make_check(service=Check(service_id=key).service)

    with CaptureQueriesContext(connection) as queries:
        found = of_services(services, window=timedelta(hours=24), buckets=96)

    # The checks, their segments, whether there is any maintenance, and who was up all along.
    assert (len(queries), sorted(found)) == (4, sorted(services))


@pytest.mark.django_db
def test_a_check_that_is_switched_off_and_on_counts_its_pause(make_check, operator):
    check = make_check()
    catalogue.update_check(actor=operator, check_id=check.pk, enabled=False)
    catalogue.update_check(actor=operator, check_id=check.pk, enabled=True)

    found = of_checks([check.pk], window=timedelta(hours=1), buckets=1)[check.pk]

    assert found.total.up == found.total.down == 0
    assert found.total.paused > 0


def test_what_was_up_all_along_counts_beside_what_was_not(make_service, make_check):
    service = make_service()
    end = datetime.now(UTC)
    for number in range(3):
        check = make_check(service=service)
        CheckState.objects.filter(check_of=check).update(state="up", last_at=end)
        StateSegment.objects.filter(check_of=check).delete()
        StateSegment.objects.create(
            check_of=check,
            standing="up",
            started_at=end - timedelta(days=9),
            ended_at=end - timedelta(hours=6) if number == 2 else None,
        )
    StateSegment.objects.create(
        check_of=check, standing="down", started_at=end - timedelta(hours=6), ended_at=None
    )

    found = of_services([service.pk], window=timedelta(hours=24), buckets=4, now=end)[service.pk]

    assert [bucket.shares.worst.name for bucket in found.buckets] == ["UP", "UP", "UP", "DOWN"]
    assert found.total.availability == 0.75
