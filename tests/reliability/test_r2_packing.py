"""Packing: rows become hours, hours become days, nothing is lost and nothing counted twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core import leases
from core.histogram import Histogram
from reliability.models import Rollup, Sample, SampleChunk
from reliability.selectors import results
from reliability.services import packing, rollups

NOW = datetime(2026, 7, 3, 12, 5, tzinfo=UTC)
HOUR = datetime(2026, 7, 3, 10, tzinfo=UTC)
DAY = datetime(2026, 6, 30, tzinfo=UTC)
PHASES = {"dns_ms": 1.0, "connect_ms": 2.0, "tls_ms": 4.0, "first_byte_ms": 8.0}


def rows(check, start, count, *, step=60, bad=(), ms=20.0, **fields):
    Sample.objects.bulk_create(
        Sample(
            check_of=check,
            at=start + timedelta(seconds=7 + number * step),
            ok=number not in bad,
            latency_ms=ms + number / 10,
            status_code=503 if number in bad else 200,
            failure="status" if number in bad else "",
            detail="HTTP 503" if number in bad else "",
            **{**PHASES, **fields},
        )
        for number in range(count)
    )


def told(check, end=NOW):
    return [
        (found.at, found.ok, found.latency_ms, found.manual, found.status_code, found.detail)
        for found in results.of_check(check.pk, start=DAY, end=end, newest_first=False)
    ]


def test_an_hour_that_is_over_is_packed(make_check):
    check = make_check()
    rows(check, HOUR, 60, bad=(5, 6))
    before = told(check)

    done = packing.run(now=NOW)

    assert (done.results, done.hours, done.days) == (60, 1, 0)
    assert Sample.objects.count() == 0
    chunk = SampleChunk.objects.get()
    assert (chunk.starts_at, chunk.seconds, chunk.n, chunk.bad) == (HOUR, 3600, 60, 2)
    assert told(check) == before


def test_the_newest_two_hours_stay_rows(make_check):
    check = make_check()
    rows(check, HOUR + timedelta(hours=1), 60)
    rows(check, HOUR + timedelta(hours=2), 5)

    assert packing.run(now=NOW).results == 0
    assert Sample.objects.count() == 65


def test_a_second_run_finds_nothing_to_do(make_check):
    rows(make_check(), HOUR, 3)
    packing.run(now=NOW)

    done = packing.run(now=NOW)

    assert (done.results, done.hours, done.days) == (0, 0, 0)
    assert SampleChunk.objects.count() == 1


def test_late_results_join_their_hour_once(make_check):
    check = make_check()
    rows(check, HOUR, 3, dns_ms=3.0)
    packing.run(now=NOW)
    # The first is stored a second time, as a flush does whose confirmation was lost.
    rows(check, HOUR, 1, dns_ms=900.0)
    rows(check, HOUR + timedelta(minutes=30), 1, dns_ms=7.0, bad=())

    packing.run(now=NOW)

    chunk = SampleChunk.objects.get()
    assert (chunk.n, chunk.bad, Sample.objects.count()) == (4, 0, 0)
    assert packing.columns(bytes(chunk.data)).phases == {0: (4.0, 2.0, 4.0, 8.0)}
    assert [at.minute for at, *_ in told(check)] == [0, 1, 2, 30]


def test_results_asked_for_by_hand_are_packed_and_not_counted(make_check):
    check = make_check()
    rows(check, HOUR, 2)
    rows(check, HOUR + timedelta(minutes=10), 1, manual=True, bad=(0,))

    packing.run(now=NOW)

    chunk = SampleChunk.objects.get()
    assert (chunk.n, chunk.bad) == (2, 0)
    assert [manual for _, _, _, manual, _, _ in told(check)] == [False, False, True]


def test_hours_become_a_day_after_two_days(make_check):
    check = make_check()
    for hour in range(24):
        rows(check, DAY + timedelta(hours=hour), 60, bad=(0,) if hour == 3 else (), ms=50.0)
    assert packing.run(now=NOW - timedelta(days=1, hours=12, minutes=6)).days == 0
    assert set(SampleChunk.objects.values_list("seconds", flat=True)) == {3600}

    assert packing.run(now=NOW).days == 1

    chunk = SampleChunk.objects.get()
    assert (chunk.starts_at, chunk.seconds, chunk.n, chunk.bad) == (DAY, 86_400, 1440, 1)
    found = told(check)
    assert [at for at, *_ in found] == [
        DAY + timedelta(seconds=7 + 60 * number) for number in range(1440)
    ]
    for _, ok, ms, _, _, _ in found:
        assert not ok or 48.7 <= ms <= 57.4


def test_a_day_is_added_up_for_ever(make_check):
    check = make_check()
    for hour in range(24):
        rows(check, DAY + timedelta(hours=hour), 60, bad=(0,) if hour == 3 else ())
    packing.run(now=NOW)

    row = Rollup.objects.get(check_of=check)

    assert (row.starts_at, row.seconds, row.n, row.bad) == (DAY, 86_400, 1440, 1)
    assert row.dns_ms == pytest.approx(1439.0, rel=1e-3)
    assert row.first_byte_ms == pytest.approx(8 * 1439.0, rel=1e-3)
    histogram = Histogram.from_bytes(bytes(row.histogram))
    assert histogram.count == 1439
    assert histogram.quantile(0.5) == pytest.approx(22.9, rel=0.02)
    assert row.sum_ms == pytest.approx(1439 * 22.95, rel=1e-3)


def test_late_results_join_their_day_and_its_sum(make_check):
    check = make_check()
    rows(check, DAY, 3)
    packing.run(now=NOW)
    assert SampleChunk.objects.get().seconds == 86_400
    rows(check, DAY, 1)
    rows(check, DAY + timedelta(hours=5), 2, bad=(0,), dns_ms=5.0)

    packing.run(now=NOW)

    chunk, row = SampleChunk.objects.get(), Rollup.objects.get(check_of=check)
    assert (chunk.n, chunk.bad, row.n, row.bad) == (5, 1, 5, 1)
    assert row.dns_ms == pytest.approx(8.0)
    assert set(packing.columns(bytes(chunk.data)).phases) == {0}


def test_years_of_rows_of_an_older_version_are_packed_part_by_part(make_check):
    first, second = make_check(), make_check()
    for check in (first, second):
        for hour in range(0, 72, 7):
            rows(check, DAY + timedelta(hours=hour), 2)
    before = told(first), told(second)

    packing.run(now=NOW)

    assert Sample.objects.count() == 0
    days = SampleChunk.objects.filter(seconds=86_400).values_list("starts_at", flat=True)
    assert set(days) == {DAY}
    for check, rows_before in zip((first, second), before, strict=True):
        assert [row[0] for row in told(check)] == [row[0] for row in rows_before]


def test_a_run_that_is_out_of_time_leaves_the_rest(make_check):
    rows(make_check(), HOUR, 2)

    assert packing.run(seconds=0, now=NOW).results == 0
    assert Sample.objects.count() == 2
    assert packing.run(now=NOW).results == 2


def test_only_one_packs_at_a_time(make_check):
    rows(make_check(), HOUR, 2)
    held = leases.acquire(name=rollups.LEASE, seconds=60)

    assert packing.run(now=NOW, patience=0).results == 0

    leases.release(held)
    assert packing.run(now=NOW).results == 2


def test_a_packer_waits_for_whoever_adds_up(make_check, monkeypatch):
    rows(make_check(), HOUR, 2)
    held = leases.acquire(name=rollups.LEASE, seconds=60)
    monkeypatch.setattr(packing.time, "sleep", lambda _: leases.release(held))

    assert packing.run(now=NOW).results == 2


def test_a_chunk_that_is_damaged_holds_up_nobody_else(make_check, caplog):
    damaged, sound = make_check(), make_check()
    SampleChunk.objects.create(
        check_of=damaged, starts_at=HOUR, seconds=3600, n=1, bad=0, data=b"damaged"
    )
    for check in (damaged, sound):
        rows(check, HOUR, 2)

    done = packing.run(now=NOW)

    assert (done.results, done.hours) == (2, 1)
    assert Sample.objects.filter(check_of=damaged).count() == 2
    assert f"Results of check {damaged.pk} cannot be packed and stay." in caplog.text
    assert bytes(SampleChunk.objects.get(check_of=damaged).data) == b"damaged"


def test_a_packer_that_lost_its_lease_changes_nothing(make_check, monkeypatch):
    check = make_check()
    rows(check, HOUR, 2)
    real = leases.renew

    def lose(held, *, seconds):
        leases.release(held)
        leases.acquire(name=rollups.LEASE, seconds=60)
        return real(held, seconds=seconds)

    monkeypatch.setattr(rollups, "add_up", lambda **_: 0)
    monkeypatch.setattr(leases, "renew", lose)

    with pytest.raises(leases.LeaseLostError):
        packing.run(now=NOW)

    assert (Sample.objects.count(), SampleChunk.objects.count()) == (2, 0)


def test_a_check_that_cannot_be_packed_holds_up_nothing_that_is_newer(make_check):
    damaged, sound = make_check(), make_check()
    SampleChunk.objects.create(
        check_of=damaged, starts_at=DAY, seconds=3600, n=1, bad=0, data=b"damaged"
    )
    rows(damaged, DAY, 2)
    for hour in range(6, 40, 5):
        for check in (damaged, sound):
            rows(check, DAY + timedelta(hours=hour), 2)

    done = packing.run(now=NOW)

    assert done.results == 2 * 7 * 2
    assert list(Sample.objects.values_list("check_of", flat=True)) == [damaged.pk, damaged.pk]
    assert bytes(SampleChunk.objects.get(starts_at=DAY, check_of=damaged).data) == b"damaged"


def test_hours_are_added_up_when_they_are_packed_and_days_not_again(make_check):
    check = make_check()
    for hour in (3, 4):
        rows(check, DAY + timedelta(hours=hour), 60, bad=(0,))
    packing.run(now=DAY + timedelta(hours=6, minutes=5))
    row = Rollup.objects.get(check_of=check)
    assert (row.starts_at, row.n, row.bad, SampleChunk.objects.count()) == (DAY, 120, 2, 2)
    before = bytes(row.histogram)

    assert packing.run(now=NOW).days == 1

    row.refresh_from_db()
    assert (row.n, row.bad, bytes(row.histogram)) == (120, 2, before)


def test_hours_that_nobody_added_up_are_added_up_with_their_day(make_check):
    check = make_check()
    rows(check, DAY, 60, bad=(0,))
    packing.run(now=DAY + timedelta(hours=6, minutes=5))
    Rollup.objects.filter(check_of=check).delete()

    packing.run(now=NOW)

    row = Rollup.objects.get(check_of=check)
    assert (row.starts_at, row.n, row.bad) == (DAY, 60, 1)
    assert Histogram.from_bytes(bytes(row.histogram)).count == 59
