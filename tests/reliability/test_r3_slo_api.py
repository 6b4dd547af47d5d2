"""Objectives by API: what may be set, where they stand, how a budget was spent."""

import json
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import AuditRecord
from core.errors import InvalidInputError, NotFoundError
from reliability.models import SLO
from reliability.selectors.indicators.registry import INDICATORS
from reliability.services import objectives
from tests.reliability.pasts import DAY, HOUR, MINUTE, stood


@pytest.fixture
def client(api, make_user):
    """Return a client that may do everything with objectives."""
    api.force_authenticate(make_user(role="engineer"))
    return api


def test_an_objective_is_made_changed_and_deleted(client, make_check):
    check = make_check()
    asked = {
        "service": check.service_id,
        "name": "Fast",
        "indicator": "latency",
        "threshold_ms": 300,
        "objective": 0.9,
        "window": "calendar",
        "checks": [check.pk],
        "policy": "Look at the queries.",
    }

    made = client.post("/api/slos/", asked, format="json")

    assert made.status_code == 201, made.data
    assert {name: made.data[name] for name in asked} == asked
    path = f"/api/slos/{made.data['id']}/"
    changed = client.patch(path, {"objective": 0.95, "gate": False}, format="json")
    assert (changed.status_code, changed.data["objective"], changed.data["gate"]) == (
        200,
        0.95,
        False,
    )
    assert changed.data["checks"] == [check.pk]
    record = AuditRecord.objects.get(action="slo.updated")
    assert json.loads(record.payload)["after"] == {"gate": False, "objective": "0.95"}
    assert client.delete(path).status_code == 204
    assert list(SLO.objects.values_list("name", flat=True)) == ["Availability"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("objective", 1),
        ("objective", 0),
        ("objective", -0.5),
        ("objective", 1.5),
        ("objective", "nan"),
        ("objective", "inf"),
        ("window_days", 0),
        ("window_days", 91),
        ("indicator", "magic"),
        ("threshold_ms", 100),
        ("unknown_policy", "perhaps"),
        ("checks", [999_999]),
        ("name", "Availability"),
        ("name", "a\nb"),
        ("objektive", 0.9),
    ],
)
def test_what_cannot_be_promised_is_refused_by_its_field(client, make_service, field, value):
    service = make_service()
    asked = {"service": service.pk, "name": "New", "objective": 0.9, field: value}

    answer = client.post("/api/slos/", asked, format="json")

    assert answer.status_code == 400
    named = set(answer.data["errors"])
    assert named == ({"non_field_errors"} if value == "Availability" else {field})
    assert SLO.objects.count() == 1


def test_a_threshold_is_needed_where_answers_are_to_be_fast(client, make_service):
    service = make_service()

    answer = client.post(
        "/api/slos/",
        {"service": service.pk, "name": "Fast", "indicator": "latency"},
        format="json",
    )

    assert (answer.status_code, list(answer.data["errors"])) == (400, ["threshold_ms"])


def test_checks_of_another_service_and_a_move_are_refused(client, make_check):
    one, other = make_check(), make_check()
    slo = SLO.objects.get(service=one.service)
    path = f"/api/slos/{slo.pk}/"

    assert list(client.patch(path, {"checks": [other.pk]}, format="json").data["errors"]) == [
        "checks"
    ]
    assert list(
        client.patch(path, {"service": other.service_id}, format="json").data["errors"]
    ) == ["service"]
    slo.refresh_from_db()
    assert (slo.service_id, slo.checks.count()) == (one.service_id, 0)


def test_a_change_that_changes_nothing_leaves_no_record(make_service, operator):
    slo = SLO.objects.get(service=make_service())

    objectives.update(actor=operator, slo_id=slo.pk, objective=slo.objective, checks=[])

    assert not AuditRecord.objects.filter(action="slo.updated").exists()


@pytest.mark.parametrize("act", [objectives.update, objectives.delete])
def test_an_objective_that_is_not_there_is_said_to_be_missing(operator, db, act):
    with pytest.raises(NotFoundError):
        act(actor=operator, slo_id=1)


def test_nothing_is_promised_of_a_service_that_is_not_there(operator, db):
    with pytest.raises(NotFoundError):
        objectives.create(actor=operator, service_id=1)


def test_an_unknown_indicator_is_refused_by_the_service_too(make_service, operator):
    with pytest.raises(InvalidInputError) as caught:
        objectives.create(
            actor=operator, service_id=make_service().pk, name="New", indicator="magic"
        )

    assert list(caught.value.errors) == ["indicator"]
    assert ", ".join(INDICATORS) in caught.value.errors["indicator"][0]


def test_the_status_says_what_is_left(client, make_check):
    check, other = make_check(), make_check()
    now = timezone.now()
    stood(check, now, ("up", 40 * DAY), ("down", 3 * HOUR), ("up", HOUR))
    objectives.update(
        actor=_actor(), slo_id=SLO.objects.get(service=other.service).pk, enabled=False
    )

    answer = client.get("/api/ops/slo/status")

    assert answer.status_code == 200
    (found,) = answer.data["results"]
    budget = 0.005 * 30 * 86_400
    assert found["state"] == "ok" if found["budget_remaining"] > 0.5 else "watch"
    assert found["availability"] == pytest.approx(1 - 2 / 720, abs=1e-5)
    assert found["budget"] == pytest.approx(budget, rel=1e-3)
    assert found["budget_used"] == pytest.approx(7200 / budget, rel=1e-3)
    assert found["burn_per_day"] == pytest.approx(2 / 24 / 0.005 / 30, rel=1e-2)
    assert set(found["burn_rates"]) == {"5m", "30m", "1h", "2h", "6h", "1d", "3d"}
    assert (found["service_name"], found["unit"], found["fails_gate"]) == (
        "Service 1",
        "seconds",
        False,
    )
    assert client.get(f"/api/ops/slo/status?service={other.service_id}").data["results"] == []
    assert client.get("/api/ops/slo/status?service=x").status_code == 400


def test_an_analyst_reads_and_cannot_change(api, make_user, make_service):
    slo = SLO.objects.get(service=make_service())
    api.force_authenticate(make_user(role="analyst"))

    assert api.get("/api/ops/slo/status").status_code == 200
    assert api.get(f"/api/slos/{slo.pk}/budget").status_code == 200
    assert api.patch(f"/api/slos/{slo.pk}/", {"objective": 0.5}, format="json").status_code == 403
    assert api.delete(f"/api/slos/{slo.pk}/").status_code == 403
    slo.refresh_from_db()
    assert slo.objective == 0.995


def test_the_curve_has_columns_of_equal_length(client, make_check):
    check = make_check()
    stood(check, timezone.now(), ("up", 10 * DAY), ("down", 40 * HOUR), ("up", 30 * HOUR))
    slo = SLO.objects.get(service=check.service)

    data = client.get(f"/api/slos/{slo.pk}/budget").data

    assert len(data["at"]) == len(data["remaining_percent"]) == 120
    assert data["remaining_percent"][0] is None
    assert data["remaining_percent"][-1] == 0.0
    assert max(share for share in data["remaining_percent"] if share is not None) == 100.0
    assert datetime.fromtimestamp(data["at"][-1], UTC) == pytest.approx(timezone.now(), abs=MINUTE)
    assert client.get("/api/slos/999999/budget").status_code == 404


def test_lists_cost_the_same_at_any_length(client, make_check):
    costs = []
    for path in ("/api/slos/", "/api/ops/slo/status"):
        make_check()
        client.get(path)
        for count in (1, 4):
            for _ in range(count):
                make_check()
            with CaptureQueriesContext(connection) as queries:
                assert client.get(path).status_code == 200
            costs.append(len(queries))

    assert costs[0] == costs[1]
    assert costs[2] == costs[3]


def _actor():
    from core.actors import Actor

    return Actor.command("test")
