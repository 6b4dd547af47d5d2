"""Where objectives stand: read from rows, as a person would work it out."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from reliability.models import SLO, MaintenanceOccurrence, MaintenanceWindow
from reliability.selectors import objectives
from reliability.services import objectives as changes
from tests.reliability.pasts import DAY, HOUR, MINUTE, each_minute, probed, stood

NOW = datetime(2026, 6, 20, 12, tzinfo=UTC)


@pytest.fixture
def promised(make_check, operator):
    """Return a function that makes a service with one check, and its default objective."""

    def make(**fields):
        check = make_check()
        slo = SLO.objects.get(service=check.service)
        if fields:
            changes.update(actor=operator, slo_id=slo.pk, **fields)
        return check, SLO.objects.get(pk=slo.pk)

    return make


def work(service, begin, end):
    """Announce work on a service, from so long ago until so long ago."""
    from audit.services.acts import unwatched

    with unwatched("set-up of a test"):
        window = MaintenanceWindow.objects.create(
            title="Work", starts_at=NOW - begin, duration_seconds=(begin - end).total_seconds()
        )
        window.services.add(service)
    MaintenanceOccurrence.objects.create(window=window, starts_at=NOW - begin, ends_at=NOW - end)


def test_every_new_service_promises_what_the_environment_says(make_service, settings):
    settings.SLO_TARGET, settings.SLO_WINDOW_DAYS = 0.99, 7

    service = make_service()

    slo = SLO.objects.get(service=service)
    assert (slo.objective, slo.window_days, slo.indicator, slo.gate) == (
        0.99,
        7,
        "availability",
        True,
    )


def test_an_outage_of_an_hour_spends_what_it_should(promised):
    check, slo = promised(objective=0.99)
    stood(check, NOW, ("up", 40 * DAY), ("down", 2 * HOUR), ("up", 1 * HOUR))

    found = objectives.standing(slo, now=NOW)

    budget = 0.01 * 30 * 86_400
    assert found.bad == pytest.approx(3600)
    assert found.total == pytest.approx(30 * 86_400)
    assert found.budget == pytest.approx(budget)
    assert found.remaining_share == pytest.approx((budget - 3600) / budget)
    assert found.coverage == pytest.approx(1)
    assert found.burn_rates["5m"] == 0
    assert found.burn_rates["2h"] == pytest.approx(50)
    assert found.burn_rates["1d"] == pytest.approx(1 / 24 / 0.01)
    assert found.per_day == pytest.approx(1 / 24 / 0.01 / 30)
    assert (found.state, found.is_sufficient, found.fails_gate) == ("ok", True, False)
    assert found.exhausted_at is None


def test_what_burns_now_says_when_nothing_is_left(promised):
    check, slo = promised(objective=0.9)
    stood(check, NOW, ("up", 40 * DAY), ("down", 30 * MINUTE))

    found = objectives.standing(slo, now=NOW)

    assert found.burn_rates["1h"] == pytest.approx(5)
    left = found.remaining_share * 30 / 5
    assert found.exhausted_at == pytest.approx(NOW + timedelta(days=left), abs=timedelta(seconds=1))


def test_announced_work_spends_nothing_and_shortens_the_window(promised):
    check, slo = promised(objective=0.99)
    stood(check, NOW, ("up", 40 * DAY), ("down", 3 * HOUR), ("up", 1 * HOUR))
    work(check.service, 4 * HOUR, 2 * HOUR)

    found = objectives.standing(slo, now=NOW)

    assert found.bad == pytest.approx(3600)
    assert found.budget == pytest.approx(0.01 * (30 * 86_400 - 7200))


def test_time_that_nobody_knows_is_neither_good_nor_bad(promised):
    check, slo = promised(objective=0.99)
    stood(check, NOW, ("up", 40 * DAY), ("unknown", 2 * DAY), ("up", 1 * DAY))

    found = objectives.standing(slo, now=NOW)

    assert (found.sli, found.bad) == (1.0, 0)
    assert found.coverage == pytest.approx(29 / 30)
    assert found.budget == pytest.approx(0.01 * 29 * 86_400)


@pytest.mark.parametrize(
    ("policy", "bad", "is_sufficient"),
    [("ignore", 0, False), ("bad", 5 * 86_400, True), ("good", 0, False)],
)
def test_too_much_unknown_time_is_never_ok(promised, policy, bad, is_sufficient):
    check, slo = promised(objective=0.99, unknown_policy=policy)
    stood(check, NOW, ("up", 40 * DAY), ("unknown", 5 * DAY), ("up", 10 * MINUTE))

    found = objectives.standing(slo, now=NOW)

    assert found.bad == pytest.approx(bad, abs=700)
    assert found.is_sufficient is is_sufficient
    assert (found.state == "insufficient") is not is_sufficient
    assert found.fails_gate is is_sufficient


def test_one_bad_minute_does_not_exhaust_a_service_that_is_an_hour_old(promised):
    check, slo = promised(objective=0.995)
    stood(check, NOW, ("unknown", HOUR), ("up", 59 * MINUTE), ("down", 2 * MINUTE), ("up", MINUTE))

    found = objectives.standing(slo, now=NOW)

    assert found.coverage == pytest.approx(1)
    assert found.budget == pytest.approx(0.005 * 30 * 86_400)
    assert found.state == "ok"


def test_a_service_without_any_answer_is_not_judged(promised):
    _, slo = promised()

    found = objectives.standing(slo, now=NOW)

    assert (found.sli, found.coverage, found.remaining_share) == (None, None, None)
    assert (found.state, found.fails_gate) == ("insufficient", False)


def test_a_window_of_nothing_but_maintenance_is_not_judged(promised):
    check, slo = promised()
    stood(check, NOW, ("down", 40 * DAY))
    work(check.service, 31 * DAY, timedelta())

    found = objectives.standing(slo, now=NOW)

    assert (found.state, found.fails_gate, found.bad) == ("insufficient", False, 0)


def test_a_calendar_month_has_the_budget_of_all_its_days(promised):
    check, slo = promised(objective=0.99, window="calendar")
    stood(check, NOW, ("up", 40 * DAY), ("down", 2 * HOUR), ("up", 1 * HOUR))

    found = objectives.standing(slo, now=NOW)

    assert found.starts_at == datetime(2026, 6, 1, tzinfo=UTC)
    assert found.ends_at == datetime(2026, 7, 1, tzinfo=UTC)
    assert found.budget == pytest.approx(0.01 * 30 * 86_400)
    assert found.total == pytest.approx((NOW - found.starts_at).total_seconds())


@pytest.mark.parametrize(("combine", "bad"), [("any", 3 * 3600), ("all", 3600)])
def test_checks_are_laid_over_each_other_and_never_added(promised, make_check, combine, bad):
    check, slo = promised(combine=combine)
    other = make_check(service=check.service, name="other")
    stood(check, NOW, ("up", 40 * DAY), ("down", 5 * HOUR), ("up", 3 * HOUR))
    stood(other, NOW, ("up", 40 * DAY), ("down", 4 * HOUR), ("up", 2 * HOUR))

    assert objectives.standing(slo, now=NOW).bad == pytest.approx(bad)


def test_an_objective_may_watch_some_of_the_checks(promised, make_check, operator):
    check, slo = promised()
    other = make_check(service=check.service, name="other")
    stood(check, NOW, ("up", 40 * DAY))
    stood(other, NOW, ("down", 40 * DAY))
    changes.update(actor=operator, slo_id=slo.pk, checks=[check.pk])

    assert objectives.standing(slo, now=NOW).sli == 1.0


def test_answers_count_each_blip(promised):
    check, slo = promised(indicator="probes", objective=0.9)
    stood(check, NOW, ("up", 60 * MINUTE))
    probed(check, each_minute(NOW, 60 * MINUTE, 10 * MINUTE), ok=True)
    probed(check, each_minute(NOW, 10 * MINUTE), ok=False)

    found = objectives.standing(slo, now=NOW)

    assert (found.total, found.bad) == (60, 10)
    assert found.sli == pytest.approx(50 / 60)
    # Of the whole window at the rate of this hour.
    assert found.budget == pytest.approx(0.1 * 60 * 720)
    assert found.burn_rates["1h"] == pytest.approx(10 / 60 / 0.1)
    assert found.counts_events


def test_slow_answers_are_bad_where_fast_ones_are_promised(promised):
    check, slo = promised(indicator="latency", threshold_ms=100)
    stood(check, NOW, ("up", 60 * MINUTE))
    probed(check, each_minute(NOW, 60 * MINUTE, 20 * MINUTE), ok=True, ms=20)
    probed(check, each_minute(NOW, 20 * MINUTE, 5 * MINUTE), ok=True, ms=400)
    probed(check, each_minute(NOW, 5 * MINUTE), ok=False, ms=20)

    found = objectives.standing(slo, now=NOW)

    assert (found.total, found.bad) == (60, 20)


def test_rows_give_what_a_count_of_every_second_gives(promised, make_check):
    rng = random.Random(7)  # noqa: S311  # repeatable, not secret
    check, slo = promised(objective=0.9, window_days=1)
    cuts = sorted(rng.sample(range(1, 86_399), 60), reverse=True)
    past = [
        (rng.choice(["up", "down", "unknown", "paused", "degraded"]), timedelta(seconds=cut))
        for cut in [90_000, *cuts]
    ]
    stood(check, NOW, *past, since=2 * DAY)

    found = objectives.standing(slo, now=NOW)

    counted = dict.fromkeys(["up", "down", "unknown", "paused", "degraded"], 0)
    for second in range(86_400, 0, -1):
        name, _ = [one for one in past if one[1].total_seconds() >= second][-1]
        counted[name] += 1
    known = counted["up"] + counted["degraded"] + counted["down"]
    budget = 0.1 * known
    assert found.bad == pytest.approx(counted["down"])
    assert found.total == pytest.approx(known)
    assert found.coverage == pytest.approx(known / (known + counted["unknown"]))
    assert found.budget == pytest.approx(budget)
    assert found.remaining_share == pytest.approx((budget - counted["down"]) / budget)


def test_the_curve_ends_where_the_objective_stands(promised):
    check, slo = promised(objective=0.99)
    stood(check, NOW, ("up", 20 * DAY), ("down", 10 * DAY + HOUR), ("up", 10 * DAY))
    found = objectives.standing(slo, now=NOW)

    curve = objectives.curve(found)

    assert (len(curve.at), curve.at[-1]) == (120, NOW)
    assert curve.remaining[0] is None
    known = [share for share in curve.remaining if share is not None]
    assert known == sorted(known, reverse=True)
    assert (known[0], known[-1]) == (1.0, pytest.approx(found.remaining_share))


def test_many_objectives_cost_no_more_queries_than_few(make_check):
    costs = []
    for count in (2, 6):
        for _ in range(count):
            make_check()
        with CaptureQueriesContext(connection) as queries:
            objectives.all_standings(now=NOW)
        costs.append(len(queries))

    assert costs[0] == costs[1] <= 7
