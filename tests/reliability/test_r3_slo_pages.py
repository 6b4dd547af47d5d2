"""Objectives in the console: the list, the page of one, the form and its hint."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from reliability.models import SLO
from reliability.services import guard
from tests.reliability.pasts import DAY, HOUR, MINUTE, each_minute, probed, stood

LIST = "/admin/reliability/slo/"


@pytest.fixture
def admin(console, make_user):
    """Return a person of the console who may do everything with objectives."""
    return console(make_user(role="admin"))


@pytest.fixture
def burnt(make_check):
    """Make an objective whose budget is spent, with its alerts and a snapshot."""
    check = make_check()
    now = timezone.now()
    stood(check, now, ("up", 40 * DAY), ("down", 5 * HOUR))
    probed(check, each_minute(now, 5 * HOUR), ok=False)
    guard.guard(now=now)
    return SLO.objects.get(service=check.service)


def page(slo):
    return f"{LIST}{slo.pk}/"


def test_the_list_says_how_each_objective_stands(admin, burnt, make_check):
    make_check()

    answer = admin.get(LIST)

    text = answer.content.decode()
    assert answer.status_code == 200
    for words in ("Exhausted", "Too little data", "99.5 % over 30 days", page(burnt)):
        assert words in text


@pytest.mark.parametrize(("state", "count"), [("exhausted", 1), ("ok", 0), ("nonsense", 2)])
def test_the_list_is_narrowed_by_state(admin, burnt, make_check, state, count):
    make_check()

    answer = admin.get(f"{LIST}?state={state}")

    assert len(answer.context["cl"].result_list) == count


def test_the_list_costs_the_same_at_any_length(admin, make_check):
    make_check()
    admin.get(LIST)
    costs = []
    for _ in range(2):
        make_check()
        with CaptureQueriesContext(connection) as queries:
            assert admin.get(LIST).status_code == 200
        costs.append(len(queries))

    assert costs[0] == costs[1]


def test_the_page_shows_budget_burn_rates_alerts_and_snapshots(admin, burnt):
    text = admin.get(page(burnt)).content.decode()

    for words in (
        "Exhausted",
        "The budget is spent: freeze releases",
        "14.4\u00d7",
        "Too fast",
        f"/api/slos/{burnt.pk}/budget",
        "the error budget burns fast",
        "Where it stood",
        "-39 %",
    ):
        assert words in text, words
    assert "style=" not in text


def test_the_page_of_an_objective_without_data_says_so(admin, make_check):
    slo = SLO.objects.get(service=make_check().service)

    text = admin.get(page(slo)).content.decode()

    assert "Too little data" in text
    assert "None yet. One is stored each quarter of an hour." in text


def test_whoever_may_not_see_objectives_is_refused(console, make_user, burnt):
    other = console(make_user("reliability.view_service", is_staff=True))

    assert other.get(LIST).status_code == 403
    assert other.get(page(burnt)).status_code == 403


def test_an_analyst_sees_and_cannot_change(console, make_user, burnt):
    analyst = console(make_user(role="analyst"))

    text = analyst.get(page(burnt)).content.decode()

    assert "Exhausted" in text
    assert f"{page(burnt)}change/" not in text
    answer = analyst.post(f"{page(burnt)}change/", {"name": "Other", "objective": "50"})
    assert answer.status_code == 403
    burnt.refresh_from_db()
    assert burnt.name == "Availability"


def fields(**more):
    """Return what the form sends."""
    return {
        "name": "Availability",
        "indicator": "availability",
        "threshold_ms": "",
        "objective": "99.5",
        "window": "rolling",
        "window_days": "30",
        "combine": "any",
        "unknown_policy": "ignore",
        "gate": "on",
        "enabled": "on",
        "policy": "",
        **more,
    }


def test_the_form_takes_percent(admin, make_service):
    service = make_service()

    answer = admin.post(f"{LIST}add/", fields(service=service.pk, name="Strict", objective="99.95"))

    slo = SLO.objects.get(name="Strict")
    assert (answer.status_code, answer["Location"]) == (302, page(slo))
    assert slo.objective == 0.9995
    assert 'value="99.95"' in admin.get(f"{page(slo)}change/").content.decode()


def test_the_form_changes_the_checks_it_watches(admin, make_check):
    check = make_check()
    slo = SLO.objects.get(service=check.service)

    answer = admin.post(f"{page(slo)}change/", fields(checks=[check.pk], objective="99.9"))

    assert answer.status_code == 302
    assert list(slo.checks.values_list("pk", flat=True)) == [check.pk]
    text = admin.get(page(slo)).content.decode()
    assert "The interval is too coarse for this objective" in text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("objective", "100", "less than or equal to 99.9999"),
        ("objective", "0", "greater than or equal to 0.0001"),
        ("window_days", "91", "less than or equal to 90"),
        ("threshold_ms", "5", "Only an objective of fast answers has a threshold."),
        ("indicator", "latency", "Say within how many milliseconds"),
    ],
)
def test_what_cannot_be_promised_stands_beside_its_field(admin, make_check, field, value, words):
    slo = SLO.objects.get(service=make_check().service)

    answer = admin.post(f"{page(slo)}change/", fields(**{field: value}))

    assert (answer.status_code, words in answer.content.decode()) == (200, True)
    slo.refresh_from_db()
    assert (slo.objective, slo.window_days, slo.threshold_ms) == (0.995, 30, None)


@pytest.mark.parametrize(
    ("objective", "is_coarse"), [("99.9", True), ("99", False), ("x", False), ("100", False)]
)
def test_the_form_asks_whether_its_checks_ask_often_enough(admin, make_check, objective, is_coarse):
    check = make_check()
    asked = {"objective": objective, "window_days": "30", "service": check.service_id}

    answer = admin.get(reverse("admin:reliability_slo_hint"), asked)

    assert (answer.status_code, "too coarse" in answer.json()["text"]) == (200, is_coarse)


def test_the_hint_of_a_stored_objective_knows_its_checks(admin, make_check):
    check = make_check(interval_seconds=10)
    slo = SLO.objects.get(service=check.service)
    asked = {"objective": "99.9", "window_days": "30", "service": "", "slo": slo.pk}

    answer = admin.get(reverse("admin:reliability_slo_hint"), asked)

    assert answer.json() == {"text": ""}


def test_an_objective_is_deleted_with_its_snapshots(admin, burnt):
    answer = admin.post(f"{page(burnt)}delete/", {"post": "yes"})

    assert answer.status_code == 302
    assert SLO.objects.count() == 0


def test_its_checks_are_run_from_its_page(admin, burnt):
    answer = admin.post(f"{page(burnt)}run/")

    assert answer.status_code == 302
    assert "/uptimetest/" in answer["Location"]


def test_short_outages_are_told_in_minutes(admin, make_check):
    check = make_check()
    now = timezone.now()
    stood(check, now, ("up", 40 * DAY), ("down", 10 * HOUR), ("up", 10 * HOUR - 4 * MINUTE))

    text = admin.get(page(SLO.objects.get(service=check.service))).content.decode()

    assert "4 min" in text
    assert "3 h 36 min" in text
