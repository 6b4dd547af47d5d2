"""Reading results: rows and chunks together, once each, cut where asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from reliability.engine.packing import DAY_SECONDS, HOUR_SECONDS, Found, pack
from reliability.models import Sample, SampleChunk
from reliability.selectors import results
from reliability.selectors.results import Counts

NOW = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
HOUR = datetime(2026, 7, 1, 10, tzinfo=UTC)
DAY = datetime(2026, 6, 20, tzinfo=UTC)


def row(check, at, *, ok=True, ms=20.0, manual=False, **fields):
    return Sample.objects.create(
        check_of=check, at=at, ok=ok, latency_ms=ms, manual=manual, **fields
    )


def chunk(check, start, found, seconds=HOUR_SECONDS):
    counted = [one for one in found if not one.manual]
    return SampleChunk.objects.create(
        check_of=check,
        starts_at=start,
        seconds=seconds,
        n=len(counted),
        bad=sum(not one.ok for one in counted),
        data=pack(found, start=start, seconds=seconds),
    )


@pytest.fixture
def check(make_check):
    """Return a check with a packed day, a packed hour and a row; each begins with a failure."""
    check = make_check()
    for start, seconds, step in ((DAY, DAY_SECONDS, 3600), (HOUR, HOUR_SECONDS, 600)):
        found = [
            Found(
                start + timedelta(seconds=number * step),
                number > 0,
                100.0 * (number + 1),
                status_code=200 if number else 503,
                failure="" if number else "status",
                detail="" if number else "HTTP 503",
            )
            for number in range(6)
        ]
        chunk(check, start, found, seconds)
    row(check, HOUR + timedelta(hours=2), ok=False, ms=900.0, failure="timeout", detail="late")
    return check


@pytest.mark.parametrize("newest_first", [True, False])
def test_all_results_come_in_order_with_everything_that_was_found(check, newest_first):
    found = list(
        results.of_check(check.pk, start=DAY, end=NOW, newest_first=newest_first),
    )

    moments = [one.at for one in found]
    assert len(found) == 13
    assert moments == sorted(moments, reverse=newest_first)
    newest, oldest = (found[0], found[-1]) if newest_first else (found[-1], found[0])
    assert newest == Found(HOUR + timedelta(hours=2), False, 900.0, False, None, "timeout", "late")
    assert (oldest.at, oldest.ok, oldest.status_code) == (DAY, False, 503)
    assert (oldest.failure, oldest.detail) == ("status", "HTTP 503")


def test_the_window_is_half_open(check):
    start, end = HOUR + timedelta(minutes=10), HOUR + timedelta(minutes=30)

    found = results.of_check(check.pk, start=start, end=end)

    assert [one.at for one in found] == [HOUR + timedelta(minutes=20), start]


def test_what_is_packed_while_somebody_reads_is_told_once(check):
    row(check, HOUR + timedelta(minutes=10, microseconds=700), ms=200.0)

    found = list(results.of_check(check.pk, start=HOUR, end=HOUR + timedelta(hours=1)))

    assert len(found) == 6


def test_an_endless_list_is_unpacked_while_it_is_read(check):
    with CaptureQueriesContext(connection) as queries:
        first = next(results.of_check(check.pk, start=DAY, end=NOW))

    assert first.detail == "late"
    assert len(queries) == 2


def test_counts_are_of_the_schedule(check):
    row(check, NOW - timedelta(minutes=1), ok=False, manual=True)
    row(check, NOW - timedelta(minutes=2))

    assert results.counts([check.pk], start=DAY, end=NOW) == Counts(14, 3, 0)


def test_whole_chunks_are_counted_without_being_unpacked(check):
    SampleChunk.objects.update(data=b"unreadable")

    found = results.counts([check.pk], start=DAY, end=DAY + timedelta(days=1))

    assert found == Counts(6, 1, 0)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (HOUR + timedelta(minutes=10), HOUR + timedelta(minutes=30), Counts(2, 0, 0)),
        (HOUR, HOUR + timedelta(microseconds=1), Counts(1, 1, 0)),
        (DAY + timedelta(hours=1), HOUR + timedelta(minutes=10), Counts(6, 1, 0)),
        (DAY - timedelta(hours=12), DAY + timedelta(hours=2), Counts(2, 1, 0)),
        (HOUR, HOUR, Counts(0, 0, 0)),
        (NOW, HOUR, Counts(0, 0, 0)),
    ],
)
def test_edges_are_cut(check, start, end, expected):
    assert results.counts([check.pk], start=start, end=end) == expected


def test_slow_is_what_was_good_above_the_threshold(check):
    found = results.counts([check.pk], start=HOUR, end=NOW, threshold_ms=350)

    # The hour has 200 to 600 ms that were good; the row failed.
    assert found == Counts(7, 2, 3)
    assert found.good == 5


def test_other_checks_are_left_alone(check, make_check):
    other = make_check()

    assert results.counts([other.pk], start=DAY, end=NOW) == Counts(0, 0, 0)
    assert list(results.of_check(other.pk, start=DAY, end=NOW)) == []
    assert results.counts([], start=DAY, end=NOW) == Counts(0, 0, 0)


def test_minutes_tell_good_and_bad(check):
    row(check, HOUR + timedelta(hours=2, seconds=59))
    minute = int(HOUR.timestamp()) // 60

    found = results.minutes([check.pk], start=HOUR + timedelta(minutes=40), end=NOW)

    assert found == {minute + 40: (1, 0), minute + 50: (1, 0), minute + 120: (1, 1)}


def test_bad_minutes_read_only_chunks_with_failures(check):
    chunk(check, HOUR + timedelta(hours=1), [Found(HOUR + timedelta(hours=1), True, 1.0)])
    SampleChunk.objects.filter(bad=0).update(data=b"unreadable")
    minute = int(HOUR.timestamp()) // 60

    found = results.bad_minutes([check.pk], start=HOUR, end=NOW)

    assert found == {minute: 1, minute + 120: 1}


def test_the_first_result_is_the_oldest_that_is_kept(check, make_check):
    other = make_check()
    assert results.first_at([other.pk]) is None
    row(other, NOW)

    assert results.first_at([other.pk]) == NOW
    assert results.first_at([check.pk, other.pk]) == DAY

    row(other, DAY - timedelta(days=1))
    assert results.first_at([check.pk, other.pk]) == DAY - timedelta(days=1)
