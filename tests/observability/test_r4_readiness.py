"""Liveness and readiness: what is asked, how often, and what strangers learn."""

from __future__ import annotations

import logging
import threading

import pytest
from django.utils import timezone

from core.models import Process
from observability.engine.findings import OK, degraded, down
from observability.health import readiness
from observability.health.readiness import Probe, ReadinessCheck


class Part:
    """A part of the platform whose state a test decides."""

    def __init__(self, finding=OK):
        self.finding = finding
        self.looks = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self):
        """Look, once the gate is open."""
        self.looks += 1
        assert self.gate.wait(10)
        if isinstance(self.finding, Exception):
            raise self.finding
        return self.finding


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose only number is the time, for the cache."""
    now = [100.0]
    monkeypatch.setattr(readiness.time, "monotonic", lambda: now[0])
    return now


def check_of(**parts):
    """Return a check of parts with short timeouts."""
    return ReadinessCheck([Probe(name, part, timeout_seconds=0.2) for name, part in parts.items()])


def test_all_well_is_ready():
    found = check_of(one=Part(), two=Part(degraded("slow"))).current()

    assert found.is_ready
    assert found.findings == {"one": OK, "two": degraded("slow")}


def test_one_part_down_is_not_ready():
    assert not check_of(one=Part(), two=Part(down("away"))).current().is_ready


def test_a_good_answer_is_kept_for_two_seconds(clock):
    part = Part()
    check = check_of(part=part)
    for seconds in (0.0, 1.9, 0.2):
        clock[0] += seconds
        check.current()

    assert part.looks == 2


def test_a_bad_answer_is_kept_for_a_quarter_of_a_second(clock):
    part = Part(down("away"))
    check = check_of(part=part)
    check.current()
    part.finding = OK
    clock[0] += 0.2
    assert not check.current().is_ready
    clock[0] += 0.1

    assert check.current().is_ready
    assert part.looks == 2


def test_a_probe_that_hangs_is_given_up_and_not_started_again(clock):
    hanging, well = Part(), Part()
    hanging.gate.clear()
    check = check_of(hanging=hanging, well=well)

    first = check.current()
    clock[0] += 5
    second = check.current()
    hanging.gate.set()
    for thread in threading.enumerate():
        if thread.name.startswith("health-"):
            thread.join(5)
    clock[0] += 5
    third = check.current()

    assert first.findings == {"hanging": down("gave no answer in time"), "well": OK}
    assert second.findings == first.findings
    assert third.findings == {"hanging": OK, "well": OK}
    assert (hanging.looks, well.looks) == (2, 3)


def test_who_asks_while_another_looks_gets_the_answer_before():
    part = Part()
    check = ReadinessCheck([Probe("part", part, timeout_seconds=10)])
    before = check.current()
    check._fresh_until = 0.0
    part.gate.clear()
    looking = threading.Thread(target=check.current)
    looking.start()
    while part.looks < 2:
        looking.join(0.005)

    assert check.current() is before

    part.gate.set()
    looking.join()


def test_a_probe_that_fails_says_nothing_to_strangers(caplog):
    found = check_of(part=Part(ValueError("password=hunter2"))).current()

    assert found.findings == {"part": down("cannot be judged")}
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError]


def test_only_changes_are_logged(clock, caplog):
    caplog.set_level(logging.INFO, "observability")
    part = Part()
    check = check_of(part=part)
    for finding in (OK, down("away"), down("away"), OK, OK):
        part.finding = finding
        check.current()
        clock[0] += 5

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "Health of part: down away"),
        ("INFO", "Health of part: ok "),
    ]


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("drill", ["database", "migrations", "disk"]),
        (
            "normal",
            ["database", "migrations", "disk", "broker", "worker", "daemon", "beat", "audit"],
        ),
    ],
)
def test_a_drill_copy_is_judged_by_less(mode, names):
    assert [probe.name for probe in readiness.probes(mode)] == names


@pytest.fixture
def fresh(monkeypatch):
    """Let the route look anew."""
    monkeypatch.setattr(readiness, "check", ReadinessCheck(readiness.probes("normal")))


def live(*kinds):
    """Report processes that live."""
    now = timezone.now()
    for pid, kind in enumerate(kinds):
        Process.objects.create(
            kind=kind, host="here", pid=pid, version="1", started_at=now, beat_at=now
        )


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("fresh")
def test_the_route_answers_200_when_all_live(client):
    live(Process.Kind.WORKER, Process.Kind.DAEMON, Process.Kind.BEAT)

    answer = client.get("/readyz")

    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "ready")
    assert list(body["checks"]) == [
        "database",
        "migrations",
        "disk",
        "broker",
        "worker",
        "daemon",
        "beat",
        "audit",
    ]
    assert body["checks"]["worker"] == {"state": "ok", "reason": ""}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("fresh")
def test_the_route_answers_503_and_says_why(client):
    live(Process.Kind.WORKER, Process.Kind.BEAT)

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert answer.json()["checks"]["daemon"] == {"state": "down", "reason": "none is running"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("fresh")
def test_a_platform_that_stops_takes_no_more_work(client, settings, tmp_path):
    live(Process.Kind.WORKER, Process.Kind.DAEMON, Process.Kind.BEAT)
    settings.OPS_DATA_DIR = tmp_path
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "draining").touch()

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (503, "stopping")


def test_liveness_asks_no_database(client):
    answer = client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_health_can_only_be_read(client, path, method):
    assert getattr(client, method)(path).status_code in {403, 405}
