"""Statistics of the live feed: what web processes report, added up."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from core.models import Process
from notifications.services.livehub import statistics
from observability.services.live import sample_overview

pytestmark = pytest.mark.django_db

URL = "/api/observability/websocket/stats"


def report(pid, *, kind="web", age=0, **changed):
    now = timezone.now() - timedelta(seconds=age)
    said = {
        "open": 2,
        "roles": {"admin": 1, "operator": 1},
        "opened": 5,
        "refused": 1,
        "closed": {"1001": 2, "4409": 1},
        "frames": 100,
        "metrics_replaced": 3,
        "slow_closes": 1,
        "replays": 4,
        "queue_depth": 6,
        "commit_to_send_ms": {"p50": 12.5, "p95": 80.0},
    }
    detail = {"sockets": said | changed} if kind == "web" else {}
    Process.objects.create(
        kind=kind, host="a", pid=pid, version="1", started_at=now, beat_at=now, detail=detail
    )


def test_processes_are_told_one_by_one_and_together(api, make_user):
    report(1)
    report(2, open=3, roles={"operator": 3}, closed={"1001": 1})
    report(3, age=60)
    report(4, kind="daemon")
    api.force_authenticate(make_user(role="auditor"))

    told = api.get(URL).json()

    assert (told["enabled"], told["limit"]) == (True, 1000)
    assert told["total"] == {
        "open": 5,
        "roles": {"admin": 1, "operator": 4},
        "opened": 10,
        "refused": 2,
        "closed": {"1001": 3, "4409": 1},
        "frames": 200,
        "metrics_replaced": 6,
        "slow_closes": 2,
        "replays": 8,
        "queue_depth": 12,
    }
    assert [process["pid"] for process in told["processes"]] == [1, 2]
    assert told["processes"][0]["commit_to_send_ms"] == {"p50": 12.5, "p95": 80.0}


def test_without_processes_everything_is_nought(api, make_user):
    api.force_authenticate(make_user(role="auditor"))
    told = api.get(URL).json()
    assert (told["total"]["open"], told["total"]["closed"], told["processes"]) == (0, {}, [])


def test_what_a_process_reports_is_what_is_shown(api, make_user):
    said = json.loads(json.dumps(statistics()))["sockets"]
    report(1, **said)
    api.force_authenticate(make_user(role="auditor"))
    assert set(api.get(URL).json()["total"]) == set(said) - {"commit_to_send_ms"}


def test_only_who_may_see_health_sees_connections(api, make_user):
    assert api.get(URL).status_code == 401
    api.force_authenticate(make_user(role="user"))
    assert api.get(URL).status_code == 403


def test_the_figures_of_the_dashboard():
    told = sample_overview()
    assert set(told) == {"services", "open_incidents", "p95_ms"}
    assert (told["open_incidents"], told["p95_ms"]) == (0, None)
