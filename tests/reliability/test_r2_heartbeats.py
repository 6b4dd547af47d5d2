"""What jobs report becomes a state, at an address of their own (R2)."""

from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from django.db import OperationalError
from django.utils import timezone

from reliability.engine.heartbeats import told
from reliability.models import (
    Alert,
    Check,
    CheckState,
    Heartbeat,
    HeartbeatPing,
    Incident,
    StateSegment,
)
from reliability.services import catalogue, overdue, rhythms

pytestmark = pytest.mark.django_db


@pytest.fixture
def make_heartbeat(make_service, operator):
    """Return a function that adds a heartbeat, by default one of each hour."""

    def make(name="nightly job", service=None, **rhythm):
        service = service or make_service()
        check = catalogue.create_check(
            actor=operator,
            service_id=service.pk,
            kind="heartbeat",
            name=name,
            heartbeat={"period_seconds": 3_600, "grace_seconds": 300, **rhythm},
        )
        return Heartbeat.objects.get(pk=check.pk)

    return make


@pytest.fixture
def ping(client):
    """Return a function that reports as a job does."""

    def send(heartbeat, what="", method="get", **options):
        path = f"/hb/{heartbeat.token}" + (f"/{what}" if what else "")
        return getattr(client, method)(path, **options)

    return send


def says(heartbeat):
    return Check.objects.select_related("state").get(pk=heartbeat.pk).says.state


def standings(heartbeat):
    found = StateSegment.objects.filter(check_of=heartbeat.pk).order_by("pk")
    return list(found.values_list("standing", flat=True))


def later(heartbeat, **ago):
    """Let everything that the heartbeat knows have happened earlier."""
    gone = timedelta(**ago)
    heartbeat.refresh_from_db()
    state = CheckState.objects.get(pk=heartbeat.pk)
    for row in (heartbeat, state):
        for name in ("last_success_at", "started_at", "due_at", "last_at", "valid_until", "since"):
            if value := getattr(row, name, None):
                setattr(row, name, value - gone if value.year < 9999 else value)
        row.save()
    for segment in StateSegment.objects.filter(check_of=heartbeat.pk):
        segment.started_at -= gone
        segment.ended_at = segment.ended_at and segment.ended_at - gone
        segment.save()


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_success_brings_a_job_up_until_its_next_is_late(make_heartbeat, ping, method):
    heartbeat = make_heartbeat()
    assert says(heartbeat) == "unknown"

    answer = ping(heartbeat, method=method)

    heartbeat.refresh_from_db()
    at = heartbeat.last_success_at
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert answer.content == b"OK\n"
    assert (heartbeat.status, heartbeat.due_at) == ("up", at + timedelta(seconds=3_900))
    assert (says(heartbeat), standings(heartbeat)) == ("up", ["unknown", "up"])
    state = CheckState.objects.get(pk=heartbeat.pk)
    assert (state.last_at, state.last_detail) == (at, "Succeeded")
    assert state.valid_until == heartbeat.due_at + rhythms.SLACK


def test_a_second_success_moves_the_deadline_and_nothing_else(make_heartbeat, ping):
    heartbeat = make_heartbeat()
    ping(heartbeat)
    later(heartbeat, minutes=30)
    first = CheckState.objects.get(pk=heartbeat.pk)

    ping(heartbeat)

    heartbeat.refresh_from_db()
    state = CheckState.objects.get(pk=heartbeat.pk)
    assert heartbeat.due_at == heartbeat.last_success_at + timedelta(seconds=3_900)
    assert state.last_at == heartbeat.last_ping_at == heartbeat.last_success_at > first.last_at
    assert (state.since, state.state) == (first.since, "up")
    assert HeartbeatPing.objects.filter(kind="success").count() == 2
    assert standings(heartbeat) == ["unknown", "up"]


def test_a_cron_expression_is_meant_in_its_time_zone(make_heartbeat, ping):
    heartbeat = make_heartbeat(schedule="cron", cron="30 2 * * *", time_zone="Europe/Berlin")

    with time_machine.travel("2026-07-01T12:00:00Z", tick=False):
        ping(heartbeat)

    heartbeat.refresh_from_db()
    assert heartbeat.due_at.isoformat() == "2026-07-02T00:35:00+00:00"


def test_what_is_missed_goes_down_at_its_deadline_once(make_heartbeat, ping):
    heartbeat = make_heartbeat()
    ping(heartbeat)
    later(heartbeat, minutes=66)
    before = Heartbeat.objects.get(pk=heartbeat.pk)
    since, due_at = before.last_success_at, before.due_at

    assert (overdue.sweep(), overdue.sweep()) == (1, 0)

    heartbeat.refresh_from_db()
    last = StateSegment.objects.get(check_of=heartbeat.pk, ended_at=None)
    assert (heartbeat.status, heartbeat.due_at, says(heartbeat)) == ("down", None, "down")
    assert (last.standing, last.started_at) == ("down", due_at)
    state = CheckState.objects.get(pk=heartbeat.pk)
    words = f"No success since {told(since)}; it was due by {told(due_at)}"
    assert (state.last_failure, state.last_detail) == ("missed", words)
    incident = Incident.objects.get()
    assert (incident.failure, incident.started_at) == ("missed", due_at)
    assert Alert.objects.get().state == "firing"


def test_the_page_of_a_late_heartbeat_tells_its_last_report(
    make_heartbeat, ping, console, make_user
):
    heartbeat = make_heartbeat()
    ping(heartbeat)
    later(heartbeat, minutes=66)
    overdue.sweep()

    page = console(make_user(role="admin")).get(f"/admin/reliability/check/{heartbeat.pk}/")

    text = page.content.decode()
    assert f"it was due by {told(CheckState.objects.get(pk=heartbeat.pk).since)}, last rep" in text
    assert "UTC.," not in text


def test_what_is_not_late_yet_stays_up(make_heartbeat, ping):
    heartbeat = make_heartbeat()
    ping(heartbeat)
    later(heartbeat, minutes=64)

    assert overdue.sweep() == 0
    assert (says(heartbeat), Alert.objects.count()) == ("up", 0)


def test_a_job_that_never_reported_alerts_nobody(make_heartbeat):
    heartbeat = make_heartbeat()

    assert overdue.sweep(now=timezone.now() + timedelta(days=400)) == 0
    assert (says(heartbeat), Alert.objects.count()) == ("unknown", 0)


def test_a_report_after_a_miss_ends_the_incident(make_heartbeat, ping):
    heartbeat = make_heartbeat()
    ping(heartbeat)
    later(heartbeat, minutes=66)
    overdue.sweep()

    ping(heartbeat)

    assert (says(heartbeat), Incident.objects.get().state) == ("up", "resolved")
    assert standings(heartbeat) == ["unknown", "up", "down", "up"]


@pytest.mark.parametrize(
    ("what", "kind", "code", "words"),
    [
        ("fail", "fail", None, "Reported a failure"),
        ("3", "fail", 3, "Ended with exit code 3"),
        ("255", "fail", 255, "Ended with exit code 255"),
        ("KILL", "fail", 137, "Ended with exit code 137"),
        ("SIGTERM", "fail", 143, "Ended with exit code 143"),
        ("SEGV", "fail", 139, "Ended with exit code 139"),
    ],
)
def test_a_failure_is_down_at_once(make_heartbeat, ping, what, kind, code, words):
    heartbeat = make_heartbeat()
    ping(heartbeat)

    assert ping(heartbeat, what).status_code == 200

    reported = HeartbeatPing.objects.latest("pk")
    assert (reported.kind, reported.exit_code) == (kind, code)
    state = CheckState.objects.get(pk=heartbeat.pk)
    assert (says(heartbeat), state.last_failure, state.last_detail) == ("down", "reported", words)
    assert Incident.objects.get().failure == "reported"


def test_exit_code_0_is_a_success(make_heartbeat, ping):
    heartbeat = make_heartbeat()

    ping(heartbeat, "0")

    assert (says(heartbeat), HeartbeatPing.objects.get().exit_code) == ("up", 0)


def test_a_log_is_kept_and_changes_nothing(make_heartbeat, ping):
    heartbeat = make_heartbeat()
    ping(heartbeat)
    before = Heartbeat.objects.get(pk=heartbeat.pk)

    ping(heartbeat, "log", "post", data="half done", content_type="text/plain")

    after = Heartbeat.objects.get(pk=heartbeat.pk)
    assert (after.due_at, after.last_success_at) == (before.due_at, before.last_success_at)
    assert HeartbeatPing.objects.latest("pk").body == "half done"


def test_start_and_success_tell_how_long_a_run_took(make_heartbeat, ping):
    heartbeat = make_heartbeat()
    ping(heartbeat)
    ping(heartbeat, "start")
    heartbeat.refresh_from_db()
    assert heartbeat.started_at is not None
    assert heartbeat.due_at == heartbeat.started_at + timedelta(seconds=300)
    later(heartbeat, seconds=90)

    ping(heartbeat)

    heartbeat.refresh_from_db()
    assert 90_000 <= heartbeat.last_duration_ms < 100_000
    assert heartbeat.started_at is None
    assert HeartbeatPing.objects.latest("pk").duration_ms == heartbeat.last_duration_ms
    assert CheckState.objects.get(pk=heartbeat.pk).last_detail.startswith("Succeeded after 9")


def test_a_run_that_takes_too_long_goes_down(make_heartbeat, ping):
    heartbeat = make_heartbeat(max_runtime_seconds=60)
    ping(heartbeat)
    ping(heartbeat, "start")
    later(heartbeat, seconds=61)

    assert overdue.sweep() == 1

    state = CheckState.objects.get(pk=heartbeat.pk)
    assert (says(heartbeat), state.last_failure) == ("down", "overrun")
    assert "has not ended within 60 s" in state.last_detail


def test_the_late_failure_of_an_old_run_leaves_the_newer_state(make_heartbeat, ping):
    heartbeat = make_heartbeat()
    ping(heartbeat, "start?rid=old")
    ping(heartbeat, "start?rid=new")
    ping(heartbeat, "?rid=new")

    ping(heartbeat, "fail?rid=old")

    assert (says(heartbeat), Alert.objects.count()) == ("up", 0)
    late = HeartbeatPing.objects.latest("pk")
    assert (late.kind, late.run_id) == ("fail", "old")
    assert late.duration_ms is not None


def test_the_success_of_an_old_run_counts_while_the_newer_still_runs(make_heartbeat, ping):
    heartbeat = make_heartbeat(max_runtime_seconds=600)
    ping(heartbeat, "fail")
    ping(heartbeat, "start?rid=old")
    ping(heartbeat, "start?rid=new")

    ping(heartbeat, "?rid=old")

    heartbeat.refresh_from_db()
    assert (says(heartbeat), heartbeat.run_id) == ("up", "new")
    assert heartbeat.due_at == heartbeat.started_at + timedelta(seconds=600)


def test_an_unknown_address_is_answered_alike_and_nothing_is_written(make_heartbeat, client):
    make_heartbeat()

    answers = [
        client.get(f"/hb/{name}")
        for name in (uuid4(), f"{uuid4()}/fail", "nonsense", "", "nonsense/start", f"{uuid4()}/7")
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert HeartbeatPing.objects.count() == 0


@pytest.mark.parametrize(
    "what", ["256", "-1", "stop", "start/more", "1.5", "1000", "kill", "SIG", "SIG_DFL", "KILLED"]
)
def test_a_known_address_with_nonsense_is_told_what_there_is(make_heartbeat, ping, what):
    answer = ping(make_heartbeat(), what)

    assert answer.status_code == 404
    assert b"/start, /fail, /log" in answer.content
    assert HeartbeatPing.objects.count() == 0


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_other_methods_are_refused(make_heartbeat, ping, method):
    answer = ping(make_heartbeat(), method=method)

    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD, POST")
    assert HeartbeatPing.objects.count() == 0


def test_a_bad_run_id_is_refused(make_heartbeat, ping):
    heartbeat = make_heartbeat()

    assert ping(heartbeat, f"?rid={'x' * 101}").status_code == 400
    assert ping(heartbeat, "?rid=a%0Ab").status_code == 400
    assert HeartbeatPing.objects.count() == 0


def test_a_long_body_is_cut_and_its_secrets_are_hidden(make_heartbeat, ping):
    heartbeat = make_heartbeat()
    body = "password=hunter22 \0" + "é" * 20_000

    ping(heartbeat, "", "post", data=body.encode(), content_type="text/plain")

    kept = HeartbeatPing.objects.get().body
    assert "hunter22" not in kept
    assert "\0" not in kept
    assert 4_000 < len(kept.encode()) <= 10_300


def test_no_cookie_and_no_session_are_involved(make_heartbeat, ping):
    answer = ping(make_heartbeat(), method="post")

    assert not answer.cookies
    assert answer["Cache-Control"] == "no-store"


def test_the_log_does_not_show_the_address(make_heartbeat, ping, caplog):
    heartbeat = make_heartbeat()

    with caplog.at_level("INFO"):
        ping(heartbeat, "start")
        ping(heartbeat, "nonsense/deeper")

    assert str(heartbeat.token) not in caplog.text
    assert "GET /hb/[masked] 200" in caplog.text


def test_a_report_that_cannot_be_stored_is_to_be_made_again(
    make_heartbeat, ping, caplog, monkeypatch
):
    heartbeat = make_heartbeat()

    def fail(**_):
        message = "the database is away"
        raise OperationalError(message)

    monkeypatch.setattr("reliability.services.heartbeats.ping", fail)

    answer = ping(heartbeat)

    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert str(heartbeat.token) not in caplog.text


def test_a_check_that_is_off_keeps_reports_and_stays_unknown(make_heartbeat, ping, operator):
    heartbeat = make_heartbeat()
    ping(heartbeat)
    catalogue.update_check(actor=operator, check_id=heartbeat.pk, enabled=False)

    ping(heartbeat, "fail")

    heartbeat.refresh_from_db()
    assert (says(heartbeat), heartbeat.status, heartbeat.due_at) == ("unknown", "new", None)
    assert HeartbeatPing.objects.filter(kind="fail").count() == 1
    assert (overdue.sweep(now=timezone.now() + timedelta(days=9)), Alert.objects.count()) == (0, 0)
