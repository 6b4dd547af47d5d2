"""Sums of all checks: each result counts once, whenever it was stored and whoever counts."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Sum

from core import leases
from core.histogram import Histogram
from reliability.models import Rollup, Sample, SampleChunk
from reliability.selectors import sums
from reliability.services import packing, rollups

START = datetime(2026, 7, 3, 10, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def store(check, *seconds, ok=True, ms=20.0, **fields):
    for second in seconds:
        Sample.objects.create(
            check_of=check, at=START + timedelta(seconds=second), ok=ok, latency_ms=ms, **fields
        )


def slots(seconds=300):
    rows = Rollup.objects.filter(check_of=None, seconds=seconds).order_by("starts_at")
    return [((row.starts_at - START).total_seconds(), row.n, row.bad) for row in rows]


def test_results_are_added_up_by_five_minutes_hours_and_days(make_check):
    first, second = make_check(), make_check()
    store(first, 0, 299.9, 300)
    store(second, 10, ok=False)
    store(second, 3700)

    assert rollups.add_up() == 5

    assert slots() == [(0, 3, 1), (300, 1, 0), (3600, 1, 0)]
    assert slots(3600) == [(0, 4, 1), (3600, 1, 0)]
    assert slots(86_400) == [(-36_000, 5, 1)]


def test_latencies_and_phases_are_those_of_good_results(make_check):
    check = make_check()
    store(check, 1, ms=100.0, dns_ms=1.0, connect_ms=2.0, tls_ms=3.0, first_byte_ms=4.0)
    store(check, 2, ms=300.0, dns_ms=1.0)
    store(check, 3, ms=10_000.0, ok=False, dns_ms=900.0)
    rollups.add_up()

    row = Rollup.objects.get(check_of=None, seconds=300)

    assert (row.sum_ms, row.dns_ms, row.connect_ms, row.tls_ms, row.first_byte_ms) == (
        400.0,
        2.0,
        2.0,
        3.0,
        4.0,
    )
    assert Histogram.from_bytes(bytes(row.histogram)) == Histogram([100.0, 300.0])


def test_nothing_is_counted_twice(make_check):
    check = make_check()
    store(check, 1, 2)
    assert rollups.add_up() == 2
    assert rollups.add_up() == 0
    store(check, 3)
    assert rollups.add_up() == 1

    assert slots() == [(0, 3, 0)]


def test_late_results_join_their_slot(make_check):
    check = make_check()
    store(check, 0, 90_000)
    rollups.add_up()
    store(check, 60, ok=False)

    assert rollups.add_up() == 1
    assert rollups.add_up() == 0

    assert slots() == [(0, 2, 1), (90_000, 1, 0)]


def test_what_was_asked_for_by_hand_is_not_counted(make_check):
    check = make_check()
    store(check, 1, manual=True)
    assert rollups.add_up() == 0
    store(check, 2)
    store(check, 3, manual=True)

    assert (rollups.add_up(), slots()) == (1, [(0, 1, 0)])


def test_a_sum_that_fails_half_way_counts_nothing(make_check, monkeypatch):
    check = make_check()
    store(check, 1, 2)
    real = Rollup.save

    def fail(row, *args, **kwargs):
        if row.seconds == 3600:
            raise RuntimeError
        real(row, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Rollup, "save", fail)
        with pytest.raises(RuntimeError):
            rollups.add_up()
    assert slots() == []

    assert rollups.add_up() == 2
    assert slots() == slots(3600) == [(0, 2, 0)]


def test_very_many_results_are_added_up_part_by_part(make_check, monkeypatch):
    monkeypatch.setattr(rollups, "_ROWS_AT_ONCE", 3)
    check = make_check()
    store(check, *range(10))
    store(check, 10, 11, 12, 13, manual=True)
    store(check, 14)

    assert rollups.add_up() == 11
    assert slots() == [(0, 11, 0)]


def test_only_one_adds_up_at_a_time(make_check):
    store(make_check(), 1)
    held = leases.acquire(name=rollups.LEASE, seconds=60)

    assert (rollups.add_up(), slots()) == (0, [])

    leases.release(held)
    assert rollups.add_up() == 1


def test_the_database_finds_the_buckets_of_the_histogram(make_check):
    check = make_check()
    rng = random.Random(11)  # noqa: S311  # repeatable, not secret
    latencies = [0.0, 0.01, 0.011, 90_000.0, *(10 ** rng.uniform(-3, 5) for _ in range(500))]
    Sample.objects.bulk_create(
        Sample(check_of=check, at=START + timedelta(milliseconds=n), ok=True, latency_ms=ms)
        for n, ms in enumerate(latencies)
    )

    part = sums.of_rows(step=300, after=0, upto=Sample.objects.latest("pk").pk)

    found, exact = part[int(START.timestamp())].histogram, Histogram(latencies)
    assert found == exact
    assert found.sum == pytest.approx(exact.sum)


def test_sums_of_hours_and_days_are_those_of_their_parts(make_check):
    check = make_check()
    for begin in (0, 5_000, 20_000, 40_000):
        store(check, begin, begin + 700)
        rollups.add_up()

    totals = {
        seconds: Rollup.objects.filter(seconds=seconds).aggregate(n=Sum("n"), ms=Sum("sum_ms"))
        for seconds in rollups.ALL_SECONDS
    }
    assert totals == {seconds: {"n": 8, "ms": 160.0} for seconds in rollups.ALL_SECONDS}


def test_results_that_are_stored_again_after_they_were_packed_count_once(make_check):
    check = make_check()
    store(check, 1, 61, 121)
    packing.run(now=START + timedelta(hours=3))
    assert (slots(), Sample.objects.count()) == ([(0, 3, 0)], 0)
    # The same results, a new one of the same hour, and one that somebody asked for.
    store(check, 1, 61, 121, 181)
    store(check, 61.5, manual=True)

    assert rollups.add_up() == 1

    assert slots() == [(0, 4, 0)]
    assert Sample.objects.filter(manual=False).count() == 1
    packing.run(now=START + timedelta(hours=3))
    day = Rollup.objects.get(check_of=check)
    assert (slots(), day.n, SampleChunk.objects.get().n) == ([(0, 4, 0)], 4, 4)


def test_results_beside_a_chunk_that_cannot_be_read_are_added_up(make_check):
    check = make_check()
    SampleChunk.objects.create(
        check_of=check, starts_at=START, seconds=3600, n=1, bad=0, data=b"damaged"
    )
    store(check, 1)

    assert (rollups.add_up(), slots()) == (1, [(0, 1, 0)])
