"""The platform's own troubles are no fault of any job: stops, pauses, races (R2)."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from reliability.engine.heartbeats import Kind
from reliability.models import (
    Alert,
    Blackout,
    Check,
    Heartbeat,
    HeartbeatPing,
    Incident,
    Liveness,
    StateSegment,
)
from reliability.services import (
    heartbeats,
    liveness,
    maintenance,
    overdue,
    own_jobs,
    sweeping,
)

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def says(heartbeat):
    return Check.objects.select_related("state").get(pk=heartbeat.pk).says.state


def test_the_first_look_is_no_blackout():
    assert liveness.stamp() is None
    assert (Blackout.objects.count(), Liveness.objects.count()) == (0, 1)


def test_looks_in_time_are_no_blackout():
    now = timezone.now()
    for seconds in (0, 10, 25, 55):
        assert liveness.stamp(now=now + timedelta(seconds=seconds)) is None

    assert Liveness.objects.get().at == now + timedelta(seconds=55)
    assert Blackout.objects.count() == 0


def test_a_gap_moves_what_was_due_within_it_and_nobody_is_alerted(beaten):
    now = timezone.now()
    heartbeat = beaten(15 * MINUTE)
    due_at = heartbeat.due_at
    liveness.stamp(now=now - 10 * MINUTE)

    missed = liveness.stamp(now=now)
    assert overdue.sweep(now=now + MINUTE) == 0
    assert liveness.settle(now=now) == 1
    assert overdue.sweep(now=now) == 0

    heartbeat.refresh_from_db()
    assert (missed.started_at, missed.ended_at) == (now - 10 * MINUTE, now)
    assert heartbeat.due_at == due_at + 10 * MINUTE
    assert says(heartbeat) == "unknown"
    last = StateSegment.objects.get(check_of=heartbeat.pk, ended_at=None)
    assert (last.standing, last.started_at) == ("unknown", due_at)
    assert Alert.objects.count() == 0
    assert overdue.sweep(now=heartbeat.due_at + MINUTE) == 1
    assert says(heartbeat) == "down"


def test_a_gap_leaves_what_was_due_outside_of_it(beaten):
    now = timezone.now()
    before, after = beaten(22 * MINUTE), beaten(MINUTE)
    deadlines = before.due_at, after.due_at
    liveness.stamp(now=now - 10 * MINUTE)

    liveness.stamp(now=now)
    assert liveness.settle() == 0

    for heartbeat, due_at in zip((before, after), deadlines, strict=True):
        heartbeat.refresh_from_db()
        assert heartbeat.due_at == due_at
    assert overdue.sweep(now=now) == 1
    assert (says(before), says(after)) == ("down", "up")


def test_what_was_down_stays_down_after_the_gap_with_the_same_incident(beaten):
    now = timezone.now()
    heartbeat = beaten(40 * MINUTE)
    overdue.sweep(now=now - 20 * MINUTE)
    liveness.stamp(now=now - 10 * MINUTE)

    liveness.stamp(now=now)
    liveness.settle()

    found = StateSegment.objects.filter(check_of=heartbeat.pk).order_by("pk")
    assert list(found.values_list("standing", flat=True))[-3:] == ["down", "unknown", "down"]
    assert found.filter(standing="unknown", ended_at=now).exists()
    assert (says(heartbeat), Incident.objects.count(), Alert.objects.count()) == ("down", 1, 1)


def test_a_clock_that_was_set_back_is_no_blackout():
    now = timezone.now()
    liveness.stamp(now=now)

    assert liveness.stamp(now=now - timedelta(hours=1)) is None

    assert Liveness.objects.get().at == now - timedelta(hours=1)
    assert Blackout.objects.count() == 0


def test_without_network_only_own_jobs_are_late(beaten):
    now = timezone.now()
    outside, own = beaten(15 * MINUTE), beaten(15 * MINUTE)
    Heartbeat.objects.filter(pk=own.pk).update(job="Nightly")
    due_at = outside.due_at
    liveness.offline_began(at=now - 10 * MINUTE)
    liveness.offline_began(at=now)
    assert Blackout.objects.count() == 1

    assert overdue.sweep(now=now) == 1
    assert (says(own), Alert.objects.count()) == ("down", 1)
    liveness.offline_ended(at=now)
    assert overdue.sweep(now=now) == 0
    assert liveness.settle() == 1

    outside.refresh_from_db()
    assert outside.due_at == due_at + 10 * MINUTE
    assert (overdue.sweep(now=now), says(outside)) == (0, "unknown")
    assert liveness.offline_ended(at=now) is None


def test_beats_slices_of_a_minute_are_no_blackouts(beaten):
    now = timezone.now()
    heartbeat = beaten(20 * MINUTE)
    liveness.stamp(now=now - 2 * MINUTE)

    assert liveness.stamp(now=now, longest=sweeping.BETWEEN_TICKS) is None
    assert overdue.sweep(now=now) == 1
    assert says(heartbeat) == "down"


def test_one_part_that_fails_stops_no_other(beaten, monkeypatch):
    heartbeat = beaten(20 * MINUTE)

    def fail(**_):
        message = "spoilt"
        raise RuntimeError(message)

    monkeypatch.setattr("reliability.services.liveness.stamp", fail)

    with pytest.raises(RuntimeError, match="spoilt"):
        sweeping.sweep(longest=MINUTE, seldom=True)

    assert says(heartbeat) == "down"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_many_sweeps_one_alerts(beaten):
    heartbeat = beaten(20 * MINUTE)
    counts = []

    def work():
        try:
            counts.append(overdue.sweep())
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(counts) == [0] * 7 + [1]
    assert (says(heartbeat), Alert.objects.get().count) == ("down", 1)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_reports_at_once_are_all_kept_and_the_job_is_up(beaten):
    heartbeat = beaten(timedelta())

    def work(number):
        try:
            kinds = (Kind.SUCCESS, Kind.START, Kind.LOG, Kind.FAIL)
            for _ in range(5):
                heartbeats.ping(token=heartbeat.token, kind=kinds[number % 4])
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heartbeats.ping(token=heartbeat.token, kind=Kind.SUCCESS)

    assert HeartbeatPing.objects.count() == 42
    assert says(heartbeat) == "up"
    assert StateSegment.objects.filter(check_of=heartbeat.pk, ended_at=None).count() == 1


def test_an_unusual_duration_is_told_and_ends_with_a_usual_one(beaten):
    heartbeat = beaten(timedelta())
    for _ in range(10):
        HeartbeatPing.objects.create(heartbeat=heartbeat, kind="success", duration_ms=10_000)

    for ago, state in ((60, "firing"), (10, "resolved")):
        heartbeats.ping(token=heartbeat.token, kind=Kind.START)
        began = timezone.now() - timedelta(seconds=ago)
        Heartbeat.objects.filter(pk=heartbeat.pk).update(started_at=began)
        heartbeats.ping(token=heartbeat.token, kind=Kind.SUCCESS)
        alert = Alert.objects.get()
        assert (alert.rule, alert.severity, alert.state) == ("heartbeat_unusual", "info", state)

    assert (says(heartbeat), Incident.objects.count()) == ("up", 0)
    assert own_jobs.synchronise() == {"changed": 0, "switched": 0, "removed": 0}


def test_what_fails_during_maintenance_is_told_at_its_end(beaten, operator):
    heartbeat = beaten(20 * MINUTE)
    now = timezone.now()
    service_id = Check.objects.get(pk=heartbeat.pk).service_id
    window = maintenance.declare(
        actor=operator,
        title="New disks",
        services=[service_id],
        starts_at=now - 30 * MINUTE,
        duration_seconds=86_400,
        reason="The disk died.",
    )

    sweeping.sweep(longest=MINUTE, seldom=False)
    assert (says(heartbeat), Incident.objects.count()) == ("down", 0)
    assert Alert.objects.get().suppressed_by != ""
    maintenance.cancel(actor=operator, window_id=window.pk)
    sweeping.sweep(longest=MINUTE, seldom=False)

    assert (Alert.objects.get().suppressed_by, Incident.objects.get().state) == ("", "triggered")
