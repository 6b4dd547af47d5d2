"""Retention: what is too old leaves, what is kept for ever stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reliability.models import (
    SLO,
    Alert,
    HeartbeatPing,
    Rollup,
    Sample,
    SampleChunk,
    SLOSnapshot,
    StateSegment,
    UptimeTest,
)
from reliability.services import retention

NOW = datetime(2026, 7, 3, 4, 30, tzinfo=UTC)
DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 7, 3, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def chunk(check, starts_at, seconds=86_400):
    return SampleChunk.objects.create(
        check_of=check, starts_at=starts_at, seconds=seconds, n=1, bad=0, data=b"x"
    )


def test_results_leave_when_their_last_one_is_too_old(make_check, settings):
    settings.OPS_RESULTS_DAYS = 30
    first, second = make_check(), make_check()
    for check in (first, second):
        # Ends 30 days and 4.5 hours ago.
        chunk(check, MIDNIGHT - 31 * DAY)
    kept = [chunk(first, MIDNIGHT - 30 * DAY), chunk(second, NOW - 30 * DAY, 3600)]
    chunk(first, NOW - 30 * DAY - timedelta(hours=1), 3600)
    Sample.objects.create(check_of=first, at=NOW - 31 * DAY, ok=True, latency_ms=1)
    row = Sample.objects.create(check_of=first, at=NOW - 29 * DAY, ok=True, latency_ms=1)

    removed = retention.remove_old(now=NOW)

    assert removed["results"] == 4
    assert list(SampleChunk.objects.order_by("pk")) == kept
    assert list(Sample.objects.all()) == [row]


def test_daily_sums_and_histories_are_kept_for_ever(make_check):
    check = make_check()
    StateSegment.objects.filter(check_of=check).delete()
    StateSegment.objects.create(check_of=check, standing="up", started_at=NOW - 3000 * DAY)
    for owner in (check, None):
        Rollup.objects.create(
            check_of=owner, starts_at=NOW - 3000 * DAY, seconds=86_400, n=1, bad=0, histogram=b""
        )

    removed = retention.remove_old(now=NOW)

    assert set(removed.values()) == {0}
    assert (Rollup.objects.count(), StateSegment.objects.count()) == (2, 1)


def test_sums_of_all_checks_are_kept_as_long_as_curves_read_them(db):
    for seconds, age in ((300, 9), (300, 7), (3600, 101), (3600, 99), (86_400, 5000)):
        Rollup.objects.create(starts_at=NOW - age * DAY, seconds=seconds, n=1, bad=0, histogram=b"")

    assert retention.remove_old(now=NOW)["sums"] == 2

    kept = Rollup.objects.order_by("seconds").values_list("seconds", flat=True)
    assert list(kept) == [300, 3600, 86_400]


@pytest.fixture
def slo(make_service):
    """Return an objective without snapshots."""
    service = make_service()
    slo = service.slos.first() or SLO.objects.create(service=service)
    SLOSnapshot.objects.all().delete()
    return slo


def test_of_older_days_one_snapshot_is_kept(slo):
    def snap(at):
        return SLOSnapshot.objects.create(
            slo=slo, at=at, state="ok", bad=0, total=1, budget=1, sli=1.0
        )

    old = MIDNIGHT - 10 * DAY
    for minutes in (0, 15, 600):
        snap(old + timedelta(minutes=minutes))
    kept = [snap(old + timedelta(minutes=1435)), snap(old + DAY)]
    kept += [snap(NOW - timedelta(minutes=15 * number)) for number in range(3)]

    assert retention.remove_old(now=NOW)["snapshots"] == 3
    assert set(SLOSnapshot.objects.all()) == set(kept)
    assert retention.remove_old(now=NOW)["snapshots"] == 0


def test_tests_that_ended_long_ago_leave(db):
    old = NOW - 91 * DAY
    gone = UptimeTest.objects.create(
        state="done", requested_by="x", finished_at=old, created_at=old
    )
    running = UptimeTest.objects.create(state="running", requested_by="x", created_at=old)
    newer = UptimeTest.objects.create(state="failed", requested_by="x", finished_at=NOW - 89 * DAY)

    assert retention.remove_old(now=NOW)["tests"] == 1
    assert set(UptimeTest.objects.values_list("pk", flat=True)) == {running.pk, newer.pk}
    assert gone.pk not in {running.pk, newer.pk}


def test_alerts_leave_when_they_ended_long_ago(db, settings):
    settings.OPS_RESULTS_DAYS = 30
    old = NOW - 31 * DAY
    fields = {"rule": "check.down", "severity": "critical", "title": "Down", "starts_at": old}
    Alert.objects.create(fingerprint="a", state="resolved", ends_at=old, **fields)
    open_one = Alert.objects.create(fingerprint="b", **fields)
    newer = Alert.objects.create(
        fingerprint="c", state="resolved", ends_at=NOW - 29 * DAY, **fields
    )

    assert retention.remove_old(now=NOW)["alerts"] == 1
    assert set(Alert.objects.all()) == {open_one, newer}


def test_pings_are_kept_like_results_and_their_bodies_for_a_month(make_heartbeat, settings):
    settings.OPS_RESULTS_DAYS = 60
    heartbeat = make_heartbeat()
    for age in (61, 31, 1):
        HeartbeatPing.objects.create(
            heartbeat=heartbeat, kind="success", at=NOW - age * DAY, body="done"
        )

    removed = retention.remove_old(now=NOW)

    assert (removed["pings"], removed["bodies"]) == (1, 1)
    pings = HeartbeatPing.objects.order_by("at").values_list("body", flat=True)
    assert list(pings) == ["", "done"]


@pytest.fixture
def make_heartbeat(make_check):
    """Return a function that adds the rhythm of a heartbeat to a check."""
    from reliability.models import Heartbeat

    return lambda: Heartbeat.objects.create(check_of=make_check())


def test_very_many_rows_leave_part_by_part(make_check, monkeypatch):
    monkeypatch.setattr(retention, "_AT_ONCE", 3)
    check = make_check()
    Sample.objects.bulk_create(
        Sample(check_of=check, at=NOW - 1000 * DAY - number * DAY, ok=True, latency_ms=1)
        for number in range(10)
    )

    assert retention.remove_old(now=NOW)["results"] == 10
    assert Sample.objects.count() == 0
