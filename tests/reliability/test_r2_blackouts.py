"""Time in which nobody watched is dealt with once, whatever interrupts that (R2)."""

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from core import leases
from core.models import Lease
from reliability.engine.heartbeats import Kind
from reliability.models import Alert, Blackout, Heartbeat, Liveness
from reliability.services import (
    forsaken,
    heartbeats,
    job_states,
    liveness,
    overdue,
    prober_alerts,
    sweeping,
)
from reliability.services.probes import LEASE

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def sweep():
    sweeping.sweep(longest=liveness.LONGEST_SILENCE, seldom=False)


@pytest.fixture
def stopped(beaten):
    """Return three heartbeats that were due while nothing ran for 14 minutes."""
    found = [beaten(15 * MINUTE) for _ in range(3)]
    liveness.stamp(now=timezone.now() - 14 * MINUTE)
    return found


def deadlines(found):
    return [Heartbeat.objects.get(pk=heartbeat.pk).due_at for heartbeat in found]


@pytest.mark.parametrize("done", [0, 1, 2])
def test_what_is_interrupted_goes_on_and_moves_nothing_twice(stopped, monkeypatch, done):
    before = deadlines(stopped)
    real, calls = overdue._postpone, []

    def fail(check_id, start, end):
        if len(calls) == done:
            message = "away again"
            raise OperationalError(message)
        calls.append(check_id)
        return real(check_id, start, end)

    with monkeypatch.context() as patch:
        patch.setattr(overdue, "_postpone", fail)
        for _ in range(2):
            with pytest.raises(OperationalError):
                sweep()
    assert Blackout.objects.get().settled_at is None
    assert overdue.sweep() == 0

    sweep()

    missed = Blackout.objects.get()
    assert missed.settled_at is not None
    gap = missed.ended_at - missed.started_at
    assert deadlines(stopped) == [due_at + gap for due_at in before]
    assert Alert.objects.count() == 0
    sweep()
    assert (liveness.settle(), deadlines(stopped)) == (0, [due_at + gap for due_at in before])


def test_one_that_cannot_be_moved_holds_up_no_other(stopped, monkeypatch):
    before = deadlines(stopped)
    real = overdue._postpone

    def fail(check_id, start, end):
        if check_id == stopped[0].pk:
            message = "spoilt"
            raise RuntimeError(message)
        return real(check_id, start, end)

    monkeypatch.setattr(overdue, "_postpone", fail)
    liveness.stamp()

    assert liveness.settle() == 2

    missed = Blackout.objects.get()
    gap = missed.ended_at - missed.started_at
    assert deadlines(stopped) == [before[0], before[1] + gap, before[2] + gap]
    assert missed.settled_at is not None


def test_the_end_of_an_offline_time_may_be_interrupted_too(beaten, monkeypatch):
    now = timezone.now()
    heartbeat = beaten(15 * MINUTE)
    before = heartbeat.due_at
    liveness.offline_began(at=now - 10 * MINUTE)
    liveness.offline_ended(at=now)

    def fail(*_):
        message = "away again"
        raise OperationalError(message)

    with monkeypatch.context() as patch:
        patch.setattr(overdue, "_postpone", fail)
        with pytest.raises(OperationalError):
            sweep()
    sweep()

    assert deadlines([heartbeat]) == [before + 10 * MINUTE]
    assert Alert.objects.count() == 0


def test_the_daemon_takes_over_from_beat_without_a_blackout():
    now = timezone.now()
    liveness.stamp(now=now, longest=sweeping.BETWEEN_TICKS)

    assert liveness.stamp(now=now + MINUTE) is None
    assert liveness.stamp(now=now + MINUTE + timedelta(seconds=20)) is None
    assert Liveness.objects.get().silence_seconds == 30

    missed = liveness.stamp(now=now + 3 * MINUTE)
    assert missed.started_at == now + MINUTE + timedelta(seconds=20)


def test_a_stop_after_beat_is_a_blackout_all_the_same():
    now = timezone.now()
    liveness.stamp(now=now, longest=sweeping.BETWEEN_TICKS)

    assert liveness.stamp(now=now + 3 * MINUTE).ended_at == now + 3 * MINUTE


# What a prober told that is gone


def gone_since(ago):
    leases.release(leases.acquire(name=LEASE, seconds=30))
    Lease.objects.filter(name=LEASE).update(until=timezone.now() - ago)


def test_an_offline_time_ends_with_its_prober(beaten):
    heartbeat = beaten(15 * MINUTE)
    before = heartbeat.due_at
    prober_alerts.offline(since=timezone.now() - 10 * MINUTE)
    prober_alerts.late(worst_seconds=9)
    gone_since(4 * MINUTE)

    sweeping.sweep(longest=MINUTE, seldom=True)

    missed = Blackout.objects.get()
    assert missed.ended_at is not None
    assert deadlines([heartbeat]) == [before + (missed.ended_at - missed.started_at)]
    states = Alert.objects.values_list("rule", "state").order_by("rule")
    assert list(states) == [("prober_late", "resolved"), ("prober_offline", "resolved")]
    assert overdue.sweep(now=timezone.now() + 60 * MINUTE) == 1


@pytest.mark.parametrize("ago", [-MINUTE, 2 * MINUTE])
def test_it_goes_on_while_the_prober_runs_or_is_gone_for_a_moment(ago):
    prober_alerts.offline(since=timezone.now() - 10 * MINUTE)
    gone_since(ago)

    assert forsaken.end() is False

    assert Blackout.objects.get().ended_at is None
    assert Alert.objects.get().state == "firing"


def test_without_trouble_nobody_asks_for_the_prober(django_assert_num_queries):
    with django_assert_num_queries(2):
        assert forsaken.end() is False


# Reports


def test_a_report_counts_though_its_check_is_deleted_meanwhile(beaten, monkeypatch):
    heartbeat = beaten(timedelta())
    monkeypatch.setattr(
        job_states.heartbeats, "last_durations", lambda *_, **__: [10_000] * 11 + [90_000]
    )

    assert job_states.judge_duration(heartbeat.pk + 1, 90_000, timezone.now()) is None
    assert Alert.objects.count() == 0


def test_a_report_counts_though_its_duration_cannot_be_judged(beaten, monkeypatch, caplog):
    heartbeat = beaten(timedelta())

    def fail(*_):
        message = "spoilt"
        raise RuntimeError(message)

    heartbeats.ping(token=heartbeat.token, kind=Kind.START)
    monkeypatch.setattr(heartbeats, "judge_duration", fail)

    assert heartbeats.ping(token=heartbeat.token, kind=Kind.SUCCESS) is True

    assert "could not be judged" in caplog.text
    assert heartbeat.pings.count() == 3
