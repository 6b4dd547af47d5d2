"""Latency series: percentiles, gaps, failures, and samples of very many results."""

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from reliability.models import Sample
from reliability.selectors import latency

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


def test_overall_reads_what_is_on(make_check):
    at = NOW - timedelta(minutes=1)
    sample(make_check(), at, 10.0).save()
    sample(make_check(enabled=False), at, 500.0).save()

    series = latency.overall("1h", now=NOW)

    assert (series.max_ms, series.is_estimate) == ([10.0], False)


def test_of_very_many_results_an_even_sample_is_read(make_check, monkeypatch):
    monkeypatch.setattr(latency, "_READ_ALL", 500)
    monkeypatch.setattr(latency, "_PICKED", 400)
    checks = [make_check(interval_seconds=10) for _ in range(4)]
    Sample.objects.bulk_create(
        sample(check, NOW - timedelta(seconds=10 * number, microseconds=1), float(number % 7))
        for number in reversed(range(360))
        for check in checks
    )

    with CaptureQueriesContext(connection) as queries:
        series = latency.overall("1h", now=NOW)

    assert series.is_estimate
    assert len(queries) == 4
    read = sum(count for count in series.good if count)
    assert 200 <= read <= 400
    assert len(series.at) == 60
    assert None not in series.p95_ms


def test_the_present_p95_is_that_of_five_minutes(make_check):
    assert latency.p95_now() is None
    check = make_check()
    now = datetime.now(UTC)
    sample(check, now - timedelta(minutes=6), 900.0).save()
    for number in range(20):
        sample(check, now - timedelta(seconds=60 + number), float(number)).save()

    assert latency.p95_now() == 18.0


def test_a_sample_meets_all_checks_although_they_take_turns(make_check, monkeypatch):
    monkeypatch.setattr(latency, "_READ_ALL", 100)
    monkeypatch.setattr(latency, "_PICKED", 360)
    checks = [make_check(interval_seconds=10) for _ in range(4)]
    Sample.objects.bulk_create(
        sample(check, NOW - timedelta(seconds=10 * number + 1), float(100 * place))
        for number in reversed(range(360))
        for place, check in enumerate(checks)
    )

    series = latency.overall("1h", now=NOW)

    # Of one check alone, all points would be equal.
    assert {0.0, 100.0, 200.0, 300.0} >= set(series.max_ms)
    assert max(series.max_ms) == 300.0
    assert min(series.p50_ms) < 300.0
