"""/healthz/strict fails when a gating budget is more than 80 % used, and says why."""

import pytest
from django.db import DatabaseError
from django.utils import timezone

from core.actors import Actor
from observability.health import error_budget
from reliability.models import SLO
from reliability.services import catalogue, objectives
from tests.reliability.pasts import DAY, stood

PATH = "/healthz/strict"
OPERATOR = Actor.command("test")


@pytest.fixture(autouse=True)
def _look_anew():
    error_budget.check.forget()
    yield
    error_budget.check.forget()


@pytest.fixture
def make(db):
    """Return a function that makes a service of whose budget so much is left."""

    def service(name, *, left):
        made = catalogue.create_service(actor=OPERATOR, name=name)
        check = catalogue.create_check(
            actor=OPERATOR, service_id=made.pk, url="http://127.0.0.1:9/"
        )
        if left is not None:
            down = 0.005 * 30 * DAY * (1 - left)
            past = [("up", 40 * DAY), ("down", 10 * DAY + down), ("up", 10 * DAY)]
            stood(check, timezone.now(), *past)
        return SLO.objects.get(service=made)

    return service


def test_without_any_objective_it_is_well(api, db):
    answer = api.get(PATH)

    assert (answer.status_code, answer.data) == (
        200,
        {"status": "ok", "failing_count": 0, "insufficient_count": 0},
    )
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("left", "status", "failing"),
    [(0.9, 200, 0), (0.21, 200, 0), (0.19, 500, 1), (-2, 500, 1)],
)
def test_it_fails_when_more_than_80_percent_are_used(api, make, left, status, failing):
    make("Shop", left=left)

    answer = api.get(PATH)

    assert (answer.status_code, answer.data["failing_count"]) == (status, failing)


def test_strangers_learn_no_names(api, make):
    make("Secret shop", left=0.1)
    make("New shop", left=None)

    answer = api.get(PATH)

    assert answer.data == {"status": "budget spent", "failing_count": 1, "insufficient_count": 1}


def test_who_may_see_objectives_learns_which_and_why(api, make, make_user):
    make("Shop", left=0.1)
    make("New shop", left=None)
    api.force_authenticate(make_user("reliability.view_slo"))

    answer = api.get(PATH)

    (failing,), (insufficient,) = answer.data["failing"], answer.data["insufficient"]
    assert (failing["service"], failing["objective"]) == ("Shop", "Availability")
    assert failing["reason"] == "90.0 % of the error budget is used"
    assert failing["remaining_share"] == pytest.approx(0.1, abs=0.001)
    assert insufficient == {
        "service": "New shop",
        "objective": "Availability",
        "remaining_share": None,
        "reason": "too little is known to judge it",
    }


def test_what_is_not_known_fails_nothing(api, make):
    make("New shop", left=None)

    answer = api.get(PATH)

    assert (answer.status_code, answer.data["insufficient_count"]) == (200, 1)


@pytest.mark.parametrize("change", [{"gate": False}, {"enabled": False}])
def test_only_gates_that_are_on_count(api, make, change):
    slo = make("Shop", left=0.1)
    objectives.update(actor=OPERATOR, slo_id=slo.pk, **change)

    assert api.get(PATH).status_code == 200


def test_a_drill_only_has_to_answer(api, make, settings):
    make("Shop", left=-5)
    settings.OPS_MODE = "drill"

    answer = api.get(PATH)

    assert (answer.status_code, answer.data["status"]) == (200, "drill")


def test_the_answer_is_kept_for_a_moment(api, make, django_assert_num_queries):
    make("Shop", left=0.1)
    assert api.get(PATH).status_code == 500

    with django_assert_num_queries(0):
        assert api.get(PATH).status_code == 500


def test_without_a_database_nobody_can_say(api, monkeypatch):
    def fail():
        message = "gone"
        raise DatabaseError(message)

    monkeypatch.setattr(error_budget.objectives, "all_standings", fail)

    answer = api.get(PATH)

    assert (answer.status_code, answer.data["status"]) == (503, "unknown")
    monkeypatch.undo()
