"""Counting: what is known as a whole is not unpacked, and gives what single results give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reliability.engine.packing import Found, pack
from reliability.models import Rollup, Sample, SampleChunk
from reliability.selectors import counting, results
from reliability.selectors.counting import Counts
from reliability.services import packing

NOW = datetime(2026, 7, 10, 12, 7, tzinfo=UTC)
TODAY = datetime(2026, 7, 10, tzinfo=UTC)

pytestmark = pytest.mark.django_db

HOURS = [0, 1, 5, 13, 24, 30, 47, 48, 60, 72, 90, 119]
"""Ages of edges: in rows, hours, today, days, and between them."""


@pytest.fixture
def check(make_check):
    """Return a check with a result each twenty minutes of five days, packed as far as it is."""
    check = make_check()
    Sample.objects.bulk_create(
        Sample(
            check_of=check,
            at=NOW - timedelta(minutes=20 * number, seconds=13),
            ok=number % 7 > 0,
            latency_ms=100.0 if number % 5 else 900.0,
        )
        for number in range(3 * 24 * 5)
    )
    return check


@pytest.mark.parametrize("threshold", [None, 500, 0, 5000])
def test_counts_before_and_after_packing_are_the_same(check, threshold):
    windows = [
        (NOW - timedelta(hours=older), NOW - timedelta(hours=newer))
        for older in HOURS
        for newer in HOURS
        if older > newer
    ]

    def counted():
        return [
            results.counts([check.pk], start=start, end=end, threshold_ms=threshold)
            for start, end in windows
        ]

    before = counted()
    packing.run(now=NOW)

    assert SampleChunk.objects.filter(seconds=86_400).exists()
    assert counted() == before
    assert before[windows.index((NOW - timedelta(hours=5), NOW))].n == 15


def test_whole_days_and_today_are_counted_without_being_unpacked(check):
    packing.run(now=NOW)
    start, end = TODAY - timedelta(days=4), NOW
    exact = results.counts([check.pk], start=start, end=end, threshold_ms=500)
    SampleChunk.objects.update(data=b"unreadable")

    assert results.counts([check.pk], start=start, end=end, threshold_ms=500) == exact
    assert exact.n == 3 * 24 * 4 + 37
    assert exact.slow > 0


def test_slow_days_are_known_when_their_results_were_removed(check):
    packing.run(now=NOW)
    start, end = TODAY - timedelta(days=4), TODAY - timedelta(days=3)
    before = results.counts([check.pk], start=start, end=end, threshold_ms=500)
    SampleChunk.objects.filter(seconds=86_400).delete()

    assert results.counts([check.pk], start=start, end=end, threshold_ms=500) == before


def test_of_very_many_checks_a_choice_of_the_edges_is_unpacked(make_check, monkeypatch):
    monkeypatch.setattr(counting, "MOST_CUT", 2)
    checks = [make_check() for _ in range(6)]
    found = [
        Found(TODAY + timedelta(minutes=number), number % 4 > 0, 100.0 + number)
        for number in range(1440)
    ]
    for number, check in enumerate(checks):
        SampleChunk.objects.create(
            check_of=check,
            starts_at=TODAY,
            seconds=86_400,
            n=1440,
            bad=360,
            data=pack(found, start=TODAY, seconds=86_400) if number % 3 == 0 else b"unreadable",
        )
    keys = [check.pk for check in checks]
    start, end = TODAY + timedelta(hours=6), TODAY + timedelta(days=1)

    counted = results.counts(keys, start=start, end=end)

    assert counted == Counts(6 * 1080, 6 * 270, 0, is_estimate=True)
    slow = results.counts(keys, start=start, end=end, threshold_ms=820)
    assert (slow.n, slow.bad) == (counted.n, counted.bad)
    one = results.counts(keys[:1], start=start, end=end, threshold_ms=820)
    assert (slow.slow, one.is_estimate) == (6 * one.slow, False)


def test_whatever_is_whole_is_no_estimate(make_check, monkeypatch):
    monkeypatch.setattr(counting, "MOST_CUT", 1)
    keys = [make_check().pk for _ in range(3)]
    for key in keys:
        SampleChunk.objects.create(
            check_of_id=key, starts_at=TODAY, seconds=3600, n=60, bad=1, data=b"unreadable"
        )

    counted = results.counts(keys, start=TODAY, end=TODAY + timedelta(hours=1))

    assert counted == Counts(180, 3, 0)


def test_sums_of_all_checks_are_of_no_check(check):
    packing.run(now=NOW)
    assert Rollup.objects.filter(check_of=None).exists()

    counted = results.counts([check.pk], start=TODAY, end=NOW, threshold_ms=500)

    assert counted.n == 37
