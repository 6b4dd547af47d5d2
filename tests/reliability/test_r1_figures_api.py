"""Figures by API: what is answered, to whom, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts.roles import ROLES
from reliability.models import CheckState, Incident, Sample, StateSegment

pytestmark = pytest.mark.django_db

PATHS = {
    "services/{service}/latency": "reliability.view_sample",
    "checks/{check}/latency": "reliability.view_sample",
    "incidents/{incident}/latency": "reliability.view_sample",
    "ops/uptime/latency": "reliability.view_sample",
    "services/{service}/history": "reliability.view_statesegment",
    "checks/{check}/history": "reliability.view_statesegment",
}


@pytest.fixture
def outage(make_check, see):
    """Make a check that is down, and return the ids that paths need."""
    check = make_check()
    see(check, True, False, False, step=60)
    incident = Incident.objects.get()
    return {"service": check.service_id, "check": check.pk, "incident": incident.pk}


def signed_in(api, user):
    api.force_login(user)
    return api


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("role", sorted(ROLES))
def test_figures_are_for_who_may_read_them(api, make_user, outage, path, role):
    answer = signed_in(api, make_user(role=role)).get(f"/api/{path.format(**outage)}")

    assert answer.status_code == (200 if PATHS[path] in ROLES[role] else 403)


@pytest.mark.parametrize("path", PATHS)
def test_strangers_get_nothing(api, outage, path):
    assert api.get(f"/api/{path.format(**outage)}").status_code == 401


def test_latency_comes_in_columns_of_equal_length(api, make_user, outage):
    body = (
        signed_in(api, make_user(role="manager"))
        .get(f"/api/services/{outage['service']}/latency?range=1h")
        .json()
    )

    columns = [name for name, value in body.items() if isinstance(value, list)]
    assert set(columns) >= {"at", "p50_ms", "p95_ms", "max_ms", "good", "failed", "dns_ms"}
    assert {len(body[name]) for name in columns} == {len(body["at"])}
    assert sum(filter(None, body["good"])) == 1
    assert sum(filter(None, body["failed"])) == 2


def test_history_adds_up_to_the_window(api, make_user, make_check):
    check = make_check()
    now = datetime.now(UTC)
    StateSegment.objects.filter(check_of=check).update(
        standing="up", started_at=now - timedelta(hours=48)
    )
    CheckState.objects.filter(check_of=check).update(last_at=now, since=now - timedelta(hours=48))

    body = signed_in(api, make_user(role="manager")).get(f"/api/checks/{check.pk}/history").json()

    assert (body["availability"], body["coverage"], body["is_covered"]) == (1.0, 1.0, True)
    assert body["up_seconds"] == 86_400
    assert len(body["buckets"]) == 96
    assert {bucket["worst"] for bucket in body["buckets"]} == {"up"}


@pytest.mark.parametrize(
    "path",
    [
        "services/{service}/latency?range=1y",
        "checks/{check}/latency?range=",
        "ops/uptime/latency?range=24h%27",
        "services/{service}/history?window=1h",
        "checks/{check}/history?window=%00",
    ],
)
def test_a_range_that_does_not_exist_is_refused(api, make_user, outage, path):
    answer = signed_in(api, make_user(role="manager")).get(f"/api/{path.format(**outage)}")

    assert answer.status_code == 400


@pytest.mark.parametrize("path", [path for path in PATHS if "{" in path])
@pytest.mark.parametrize("key", [999_999, 2**63, 10**30])
def test_what_does_not_exist_is_not_found(api, make_user, path, key):
    ids = {"service": key, "check": key, "incident": key}

    answer = signed_in(api, make_user(role="manager")).get(f"/api/{path.format(**ids)}")

    assert answer.status_code == 404


def test_an_incident_that_outlived_its_check_has_no_latency(api, make_user, outage, operator):
    from reliability.services import catalogue

    catalogue.delete_check(actor=operator, check_id=outage["check"])

    answer = signed_in(api, make_user(role="manager")).get(
        f"/api/incidents/{outage['incident']}/latency"
    )
    assert answer.status_code == 404


def test_ten_thousand_results_do_not_travel(api, make_user, make_check):
    check = make_check(interval_seconds=10)
    now = datetime.now(UTC)
    Sample.objects.bulk_create(
        Sample(check_of=check, at=now - timedelta(seconds=8 * number), ok=True, latency_ms=number)
        for number in range(10_000)
    )

    answer = signed_in(api, make_user(role="manager")).get(
        f"/api/services/{check.service_id}/latency?range=24h"
    )

    assert len(answer.json()["at"]) <= 290
    assert len(answer.content) < 30_000
