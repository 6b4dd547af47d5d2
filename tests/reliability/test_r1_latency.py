"""Latency series: percentiles, gaps, failures, from rows, chunks and sums."""

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from reliability.models import Sample, SampleChunk
from reliability.selectors import latency
from reliability.services import packing, rollups

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def sample(check, at, ms, *, ok=True, manual=False, **phases):
    return Sample(check_of=check, at=at, ok=ok, manual=manual, latency_ms=ms, **phases)


def nearest_rank(values, share):
    ordered = sorted(values)
    return round(ordered[math.ceil(share * len(ordered)) - 1], 1)


def test_percentiles_are_those_of_each_bucket(make_check):
    check = make_check(interval_seconds=10)
    rng = random.Random(7)  # noqa: S311  # repeatable, not secret
    found = {}
    for number in range(360):
        at = NOW - timedelta(hours=1) + timedelta(seconds=10 * number)
        ms = rng.uniform(1, 500)
        found.setdefault(int(at.timestamp()) // 60, []).append(ms)
        sample(check, at, ms).save()

    series = latency.of_check(check.pk, "1h", now=NOW)

    assert series.step_seconds == 60
    assert series.at == [key * 60 + 30 for key in sorted(found)]
    for number, key in enumerate(sorted(found)):
        assert series.p50_ms[number] == nearest_rank(found[key], 0.5)
        assert series.p95_ms[number] == nearest_rank(found[key], 0.95)
        assert series.max_ms[number] == round(max(found[key]), 1)
        assert (series.good[number], series.failed[number]) == (6, 0)


def test_time_without_results_is_a_gap(make_check):
    check = make_check(interval_seconds=60)
    for minutes in (60, 59, 58, 20, 19):
        sample(check, NOW - timedelta(minutes=minutes), 10.0).save()

    series = latency.of_check(check.pk, "1h", now=NOW)

    assert series.p95_ms == [10.0, 10.0, 10.0, None, 10.0, 10.0, None]
    assert series.good == [1, 1, 1, None, 1, 1, None]
    assert series.at == sorted(series.at)


def test_one_late_result_is_no_gap(make_check):
    check = make_check(interval_seconds=60, timeout_seconds=10)
    for seconds in (200, 121, 61, 1):
        sample(check, NOW - timedelta(seconds=seconds), 10.0).save()

    assert None not in latency.of_check(check.pk, "1h", now=NOW).p95_ms


def test_failures_count_and_do_not_colour_the_latency(make_check):
    check = make_check()
    at = NOW - timedelta(minutes=5)
    sample(check, at, 20.0).save()
    sample(check, at + timedelta(seconds=1), 10_000.0, ok=False).save()
    sample(check, at + timedelta(seconds=2), 9_000.0, manual=True).save()

    series = latency.of_check(check.pk, "1h", now=NOW)

    assert (series.p95_ms[0], series.max_ms[0]) == (20.0, 20.0)
    assert (series.good[0], series.failed[0]) == (1, 1)


def test_a_bucket_of_failures_alone_has_no_latency(make_check):
    check = make_check()
    sample(check, NOW - timedelta(minutes=1), 10_000.0, ok=False).save()

    series = latency.of_check(check.pk, "1h", now=NOW)

    assert (series.p95_ms, series.good, series.failed) == ([None], [0], [1])


def test_phases_are_means(make_check):
    check = make_check()
    at = NOW - timedelta(minutes=1)
    for number in (1, 3):
        at += timedelta(seconds=1)
        phases = {"dns_ms": number, "connect_ms": 2 * number, "tls_ms": 3, "first_byte_ms": 10}
        sample(check, at, 20.0, **phases).save()

    series = latency.of_check(check.pk, "1h", now=NOW)

    assert (series.dns_ms, series.connect_ms) == ([2.0], [4.0])
    assert (series.tls_ms, series.first_byte_ms) == ([3.0], [10.0])


def test_the_window_begins_and_ends_where_it_says(make_check):
    check = make_check()
    for at in (NOW - timedelta(hours=1, microseconds=1), NOW):
        sample(check, at, 99.0).save()
    sample(check, NOW - timedelta(hours=1), 1.0).save()
    sample(check, NOW - timedelta(microseconds=1), 2.0).save()

    assert [v for v in latency.of_check(check.pk, "1h", now=NOW).p95_ms if v] == [1.0, 2.0]


def test_a_service_answers_over_all_its_checks(make_service, make_check):
    service = make_service()
    other = make_check()
    at = NOW - timedelta(minutes=1)
    for ms in (10.0, 30.0):
        sample(make_check(service=service), at, ms).save()
    sample(other, at, 500.0).save()

    series = latency.of_service(service.pk, "1h", now=NOW)

    assert (series.p50_ms, series.max_ms, series.good) == ([10.0], [30.0], [2])


def test_a_step_is_no_shorter_than_the_interval(make_check):
    check = make_check(interval_seconds=900)
    for number in range(4):
        sample(check, NOW - timedelta(minutes=15 * number, seconds=1), 5.0).save()

    series = latency.of_check(check.pk, "1h", now=NOW)

    assert (series.step_seconds, series.p95_ms) == (900, [5.0] * 4)


@pytest.mark.parametrize("wanted", latency.RANGES)
def test_nothing_found_is_an_empty_series(make_check, make_service, wanted):
    check = make_check()
    for series in (
        latency.of_check(check.pk, wanted),
        latency.of_service(make_service().pk, wanted),
        latency.overall(wanted),
    ):
        assert series.at == series.p95_ms == []


def test_overall_reads_all_checks(make_check):
    at = NOW - timedelta(minutes=1)
    sample(make_check(), at, 10.0).save()
    sample(make_check(enabled=False), at, 500.0).save()

    series = latency.overall("1h", now=NOW)

    assert (series.p50_ms, series.max_ms, series.is_estimate) == ([10.0], [500.0], False)


@pytest.mark.parametrize("wanted", ["24h", "7d", "30d", "90d"])
@pytest.mark.parametrize("added", [0, 7, 20])
def test_overall_counts_each_result_once_added_up_or_not(make_check, wanted, added):
    checks = [make_check(interval_seconds=60) for _ in range(2)]
    for number in range(20):
        for check in checks:
            at = NOW - timedelta(minutes=20 - number)
            sample(check, at, 100.0 + number, ok=number != 3, dns_ms=2.0).save()
        if number == added - 1:
            rollups.add_up()

    series = latency.overall(wanted, now=NOW)

    assert sum(count for count in series.good if count) == 38
    assert sum(count for count in series.failed if count is not None) == 2
    assert max(ms for ms in series.max_ms if ms) == 119.0
    assert {ms for ms in series.dns_ms if ms is not None} == {2.0}
    assert not series.is_estimate


def test_overall_percentiles_are_close(make_check):
    check = make_check(interval_seconds=10)
    rng = random.Random(3)  # noqa: S311  # repeatable, not secret
    values = [rng.uniform(5, 500) for _ in range(30)]
    for number, ms in enumerate(values):
        sample(check, NOW - timedelta(seconds=300 - 10 * number), ms).save()
    rollups.add_up()

    series = latency.overall("24h", now=NOW)

    (p50,), (p95,) = series.p50_ms, series.p95_ms
    assert p50 == pytest.approx(nearest_rank(values, 0.5), rel=0.011)
    assert p95 == pytest.approx(nearest_rank(values, 0.95), rel=0.011)


def test_an_hour_of_very_many_results_is_read_from_sums(make_check, monkeypatch):
    monkeypatch.setattr(latency, "_MOST", 100)
    checks = [make_check(interval_seconds=10) for _ in range(4)]
    Sample.objects.bulk_create(
        sample(check, NOW - timedelta(seconds=10 * number, microseconds=1), float(number % 7))
        for number in reversed(range(360))
        for check in checks
    )
    rollups.add_up()

    series = latency.overall("1h", now=NOW)

    assert (series.step_seconds, series.is_estimate) == (300, False)
    assert series.good == [120] * 12
    assert series.max_ms == [6.0] * 12


def test_the_present_p95_is_that_of_the_newest_sums(make_check):
    assert latency.p95_now() is None
    check = make_check()
    now = datetime.now(UTC)
    sample(check, now - timedelta(minutes=16), 900.0).save()
    for number in range(20):
        sample(check, now - timedelta(seconds=number), float(number)).save()

    assert latency.p95_now() == pytest.approx(18.0, rel=0.01)
    rollups.add_up()
    assert latency.p95_now() == pytest.approx(18.0, rel=0.01)


def filled(check, start, count, *, step=60, **fields):
    Sample.objects.bulk_create(
        sample(check, start + timedelta(seconds=7 + step * number), 50.0 + number % 20, **fields)
        for number in range(count)
    )


@pytest.mark.parametrize("wanted", ["24h", "7d", "30d"])
def test_packed_results_are_drawn_like_rows(make_check, wanted):
    check = make_check(interval_seconds=600)
    for age in (20, 6, 2):
        filled(check, NOW - timedelta(days=age), 40, step=600, dns_ms=1.0, first_byte_ms=4.0)
    filled(check, NOW - timedelta(hours=5), 28, step=600)
    before = latency.of_check(check.pk, wanted, now=NOW)

    assert packing.run(now=NOW).results
    after = latency.of_check(check.pk, wanted, now=NOW)

    assert Sample.objects.filter(at__lt=NOW - timedelta(hours=2)).count() == 0
    assert (after.at, after.good, after.failed) == (before.at, before.good, before.failed)
    for name in ("p50_ms", "p95_ms", "max_ms", "dns_ms", "first_byte_ms"):
        for was, found in zip(getattr(before, name), getattr(after, name), strict=True):
            assert found == (was if was is None else pytest.approx(was, rel=0.026, abs=0.1))


def test_ninety_days_are_read_from_the_sums_of_days(make_check):
    check = make_check(interval_seconds=3600)
    for age in (80, 10):
        filled(check, NOW.replace(hour=0) - timedelta(days=age), 24, step=3600)
    filled(check, NOW - timedelta(hours=20), 5, step=3600)
    before = latency.of_check(check.pk, "90d", now=NOW)
    packing.run(now=NOW)
    SampleChunk.objects.filter(seconds=86_400).delete()

    series = latency.of_check(check.pk, "90d", now=NOW)

    assert series.step_seconds == 86_400
    assert [count for count in series.good if count] == [24, 24, 5]
    assert series.at == before.at
    assert series.p95_ms[0] == pytest.approx(68.0, rel=0.02)


def test_results_that_were_removed_with_age_are_known_by_their_sums(make_check, settings):
    settings.OPS_RESULTS_DAYS = 5
    check = make_check(interval_seconds=3600)
    filled(check, NOW.replace(hour=0) - timedelta(days=10), 24, step=3600)
    packing.run(now=NOW)
    SampleChunk.objects.all().delete()

    series = latency.of_check(check.pk, "30d", now=NOW)

    assert (series.step_seconds, series.good) == (86_400, [24, None])


def test_of_very_many_checks_an_even_choice_is_read(make_service, make_check, monkeypatch):
    monkeypatch.setattr(latency, "_MOST", 3_000)
    service = make_service()
    checks = [make_check(service=service, interval_seconds=60) for _ in range(8)]
    for place, check in enumerate(checks):
        filled(check, NOW - timedelta(minutes=50), 50, manual=False)
        sample(check, NOW - timedelta(seconds=1), 1000.0 * (place + 1)).save()

    with CaptureQueriesContext(connection) as queries:
        series = latency.of_service(service.pk, "24h", now=NOW)

    assert series.is_estimate
    assert sum(count for count in series.good if count) == 2 * 51
    assert len(queries) == 4


def test_what_is_packed_while_the_curve_is_read_counts_once(make_check):
    check = make_check(interval_seconds=60)
    start = NOW - timedelta(hours=3)
    filled(check, start, 30)
    packing.run(now=NOW)
    # As if the rows had been read just before they were packed.
    filled(check, start, 30)

    series = latency.of_check(check.pk, "24h", now=NOW)

    assert sum(count for count in series.good if count) == 30


def test_failures_and_results_by_hand_are_told_apart_in_chunks(make_check):
    check = make_check(interval_seconds=60)
    start = NOW - timedelta(hours=3)
    filled(check, start, 4)
    sample(check, start + timedelta(seconds=70), 9_000.0, ok=False, failure="timeout").save()
    sample(check, start + timedelta(seconds=80), 7_000.0, manual=True).save()
    packing.run(now=NOW)

    series = latency.of_check(check.pk, "24h", now=NOW)

    assert (series.good[0], series.failed[0]) == (4, 1)
    assert series.max_ms[0] == pytest.approx(53.0, abs=0.21)
