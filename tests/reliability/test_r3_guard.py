"""Alerts of burning budgets: two windows, enough that was bad, and one message each."""

import asyncio
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from notifications.models import Event
from reliability.models import SLO, Alert, Incident, SLOSnapshot
from reliability.services import catalogue, guard
from reliability.services import objectives as changes
from tests.reliability.pasts import DAY, HOUR, MINUTE, each_minute, probed, stood


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def burning(make_check, operator, now):
    """Return a function that makes a check that has been down for so long, with its probes."""

    def make(down=10 * MINUTE, *, history=40 * DAY, probes=True, **fields):
        check = make_check()
        slo = SLO.objects.get(service=check.service)
        changes.update(actor=operator, slo_id=slo.pk, **{"objective": 0.995, **fields})
        stood(check, now, ("up", history), ("down", down))
        if probes:
            probed(check, each_minute(now, down), ok=False)
        return check, SLO.objects.get(pk=slo.pk)

    return make


def rules():
    return sorted(Alert.objects.filter(state="firing").values_list("rule", flat=True))


def test_a_fast_burn_raises_one_critical_alert_and_opens_an_incident(burning, now):
    _, slo = burning(6 * MINUTE, policy="Freeze releases.")

    assert guard.watch_fast(with_events=False, now=now) == 1
    guard.watch_fast(with_events=False, now=now)
    guard.guard(now=now)

    alert = Alert.objects.get(rule="slo_fast_burn")
    assert (alert.severity, alert.slo, alert.state) == ("critical", slo, "firing")
    assert alert.title == f"{slo}: the error budget burns fast"
    assert "Freeze releases." in alert.detail
    assert "20.0 times as fast" in alert.detail
    assert alert.incident is not None
    assert Event.objects.filter(kind="reliability.slo_fast_burn").count() == 1


def test_a_short_outage_that_spends_little_wakes_nobody(burning, now):
    burning(4 * MINUTE)

    guard.watch_fast(with_events=False, now=now)
    guard.guard(now=now)

    assert rules() == []


def test_an_outage_that_is_over_wakes_nobody(burning, now):
    check, _ = burning(30 * MINUTE)
    stood(check, now, ("up", 40 * DAY), ("down", 61 * MINUTE), ("up", 31 * MINUTE))

    guard.watch_fast(with_events=False, now=now)

    assert rules() == []


@pytest.mark.parametrize(("bad", "fires"), [(1, False), (2, False), (3, True)])
def test_single_lost_probes_wake_nobody(burning, now, bad, fires):
    check, _ = burning(3 * MINUTE, probes=False, objective=0.9999)
    probed(check, each_minute(now, bad * MINUTE), ok=False)

    guard.watch_fast(with_events=False, now=now)

    assert rules() == (["slo_fast_burn"] if fires else [])


def test_three_bad_probes_in_one_minute_wake_nobody(burning, now):
    check, _ = burning(3 * MINUTE, probes=False, objective=0.9999)
    minute = now.replace(second=0, microsecond=0) - MINUTE
    probed(check, [minute + timedelta(seconds=second) for second in (1, 2, 3)], ok=False)

    guard.watch_fast(with_events=False, now=now)

    assert rules() == []


def test_too_young_a_service_wakes_nobody(burning, now):
    burning(10 * MINUTE, history=50 * MINUTE)

    guard.watch_fast(with_events=False, now=now)

    assert rules() == []


def test_with_little_known_nobody_is_woken(burning, now):
    check, _ = burning(10 * MINUTE)
    stood(check, now, ("up", 40 * DAY), ("unknown", 6 * HOUR), ("down", 10 * MINUTE))

    guard.watch_fast(with_events=False, now=now)

    assert rules() == []


def test_a_fast_burn_is_over_when_the_short_window_was_quiet_for_its_whole_length(burning, now):
    check, _ = burning(30 * MINUTE)
    guard.watch_fast(with_events=False, now=now)
    assert rules() == ["slo_fast_burn"]

    # The short windows are 5 and 30 minutes: an hour after the end both were quiet all the time.
    for ago, expected in ((20 * MINUTE, ["slo_fast_burn"]), (61 * MINUTE, [])):
        stood(check, now, ("up", 40 * DAY), ("down", ago + 30 * MINUTE), ("up", ago))
        guard.watch_fast(with_events=False, now=now)
        assert rules() == expected
    alert = Alert.objects.get()
    assert (alert.state, alert.incident.state) == ("resolved", "resolved")


def test_what_nobody_knows_any_more_is_not_over(burning, now):
    check, _ = burning(30 * MINUTE)
    guard.watch_fast(with_events=False, now=now)

    stood(check, now, ("up", 40 * DAY), ("down", 150 * MINUTE), ("unknown", 120 * MINUTE))
    guard.watch_fast(with_events=False, now=now)

    assert rules() == ["slo_fast_burn"]


def test_a_slow_burn_is_a_warning(burning, now):
    burning(7 * HOUR, objective=0.95)

    guard.guard(now=now)

    fired = dict(Alert.objects.values_list("rule", "severity"))
    assert fired["slo_slow_burn"] == "warning"
    # 7 h of 36 h: the rest is far from spent.
    assert "slo_budget_low" not in fired


def test_the_alerts_of_one_service_are_one_incident(burning, now):
    burning(4 * HOUR)

    guard.guard(now=now)

    assert rules() == ["slo_budget_low", "slo_fast_burn", "slo_slow_burn"]
    assert Incident.objects.filter(dedup_key__startswith="objectives:").count() == 1


def test_the_alert_of_a_low_budget_ends_two_points_above(burning, now):
    check, slo = burning(4 * HOUR)
    guard.guard(now=now)
    assert SLOSnapshot.objects.get().state == "exhausted"
    budget = 0.005 * 30 * DAY

    for left, expected in ((0.19, True), (0.21, True), (0.23, False)):
        down = budget * (1 - left)
        stood(check, now, ("up", 40 * DAY), ("down", 10 * DAY + down), ("up", 10 * DAY))
        guard.guard(now=now)
        assert ("slo_budget_low" in rules()) is expected
    assert SLOSnapshot.objects.filter(slo=slo).order_by("-pk")[0].state == "watch"


def test_a_missing_heartbeat_is_no_lost_packet(make_service, operator, now):
    service = make_service()
    check = catalogue.create_check(
        actor=operator, service_id=service.pk, kind="heartbeat", name="backup"
    )
    slo = changes.create(
        actor=operator, service_id=service.pk, name="Jobs", indicator="heartbeats", objective=0.995
    )
    stood(check, now, ("up", 40 * DAY), ("down", 10 * MINUTE))

    guard.watch_fast(with_events=False, now=now)

    assert Alert.objects.filter(slo=slo, rule="slo_fast_burn").exists()


@pytest.mark.parametrize(
    ("bad", "good", "fires"), [(9, 191, False), (10, 89, False), (10, 90, True)]
)
def test_events_need_ten_bad_of_a_hundred(make_check, operator, now, bad, good, fires):
    check = make_check()
    slo = SLO.objects.get(service=check.service)
    changes.update(actor=operator, slo_id=slo.pk, indicator="probes", objective=0.999)
    stood(check, now, ("up", 40 * DAY))
    step = timedelta(seconds=15)
    probed(check, [now - timedelta(seconds=1) - step * n for n in range(bad)], ok=False)
    probed(check, [now - timedelta(seconds=8) - step * n for n in range(good)], ok=True)

    guard.watch_fast(with_events=False, now=now)
    assert rules() == []
    guard.watch_fast(with_events=True, now=now)

    assert rules() == (["slo_fast_burn"] if fires else [])


def test_switching_an_objective_off_or_deleting_it_ends_its_alerts(burning, now, operator):
    _, slo = burning(4 * HOUR)
    guard.guard(now=now)
    assert len(rules()) == 3

    changes.update(actor=operator, slo_id=slo.pk, enabled=False)
    assert rules() == []
    guard.guard(now=now)
    assert (rules(), SLOSnapshot.objects.count()) == ([], 1)

    changes.update(actor=operator, slo_id=slo.pk, enabled=True)
    guard.guard(now=now)
    assert len(rules()) == 3
    changes.delete(actor=operator, slo_id=slo.pk)
    assert (rules(), SLO.objects.count(), SLOSnapshot.objects.count()) == ([], 0, 0)
    assert set(Incident.objects.values_list("state", flat=True)) == {"resolved"}


def test_an_objective_that_is_deleted_while_it_is_judged_harms_no_other(
    burning, now, operator, monkeypatch
):
    _, gone = burning(4 * HOUR)
    _, kept = burning(4 * HOUR)
    store = guard._store

    def delete_first(found):
        changes.delete(actor=operator, slo_id=gone.pk)
        store(found)

    monkeypatch.setattr(guard, "_store", delete_first)

    assert len(guard.guard(now=now)) == 2

    assert SLOSnapshot.objects.get().slo == kept
    assert set(Alert.objects.values_list("slo", flat=True)) == {kept.pk}


def test_a_look_costs_two_queries_while_nothing_burns(make_check, now):
    for _ in range(5):
        stood(make_check(), now, ("up", 40 * DAY))

    with CaptureQueriesContext(connection) as queries:
        assert guard.watch_fast(with_events=False, now=now) == 0

    assert len(queries) == 2


def test_the_task_judges_every_objective(make_check):
    from reliability.tasks import guard_objectives

    make_check()
    make_check()

    assert (guard_objectives(), guard_objectives()) == (2, 2)
    assert SLOSnapshot.objects.count() == 4


def test_the_loop_looks_at_events_once_a_minute(monkeypatch):
    from reliability.services import slo_loop

    async def at_once(function, **kwargs):
        function(**kwargs)

    asked = []
    monkeypatch.setattr(guard, "watch_fast", lambda *, with_events: asked.append(with_events))
    monkeypatch.setattr(slo_loop, "in_thread", at_once)
    loop = slo_loop.BurnLoop()

    for _ in range(5):
        asyncio.run(loop(None))

    assert asked == [True, False, False, False, True]
