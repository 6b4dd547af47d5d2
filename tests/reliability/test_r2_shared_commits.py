"""Reports that arrive at once share a commit on SQLite; none is lost, none suffers (R2)."""

import threading

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection
from django.utils import timezone

from reliability.engine.heartbeats import Kind
from reliability.models import CheckState, Heartbeat, HeartbeatPing
from reliability.services import catalogue, heartbeats

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL: a commit of its own"),
]

COUNT = 8


@pytest.fixture
def beating(make_service, operator):
    """Return heartbeats that are up, so that their reports only move times."""
    found = []
    for number in range(COUNT):
        check = catalogue.create_check(
            actor=operator,
            service_id=make_service().pk,
            kind="heartbeat",
            name=f"job {number}",
            heartbeat={"period_seconds": 600},
        )
        found.append(Heartbeat.objects.get(pk=check.pk))
        heartbeats.ping(token=found[-1].token, kind=Kind.SUCCESS)
    return found


@pytest.fixture
def commits(monkeypatch):
    """Return what was committed together: the checks of each batch."""
    seen = []
    real = heartbeats._commit

    def commit(batch):
        seen.append(sorted(wanted.check_id for wanted in batch))
        real(batch)

    monkeypatch.setattr(heartbeats, "_commit", commit)
    return seen


def at_once(beating, times=1):
    """Report from a thread for each, with the first commit held back until all others wait."""
    answers = {}
    together = heartbeats._together

    def work(heartbeat):
        try:
            answers[heartbeat.pk] = [
                heartbeats.ping(token=heartbeat.token, kind=Kind.SUCCESS, body="done")
                for _ in range(times)
            ]
        except DatabaseError as error:
            answers[heartbeat.pk] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(heartbeat,)) for heartbeat in beating]
    with together._turn:
        for thread in threads:
            thread.start()
        waiting = threading.Event()
        while len(together._waiting) < len(beating):
            waiting.wait(0.01)
    for thread in threads:
        thread.join()
    return answers


def test_those_that_wait_are_committed_together_and_none_is_lost(beating, commits):
    began = timezone.now()

    answers = at_once(beating)

    assert answers == {heartbeat.pk: [True] for heartbeat in beating}
    assert commits == [sorted(answers)]
    assert HeartbeatPing.objects.filter(body="done", kind="success").count() == COUNT
    assert Heartbeat.objects.filter(last_success_at__gte=began, status="up").count() == COUNT
    assert CheckState.objects.filter(last_at__gte=began, state="up").count() == COUNT


def test_many_reports_of_many_threads_are_each_kept(beating):
    answers = at_once(beating, times=10)

    assert answers == {heartbeat.pk: [True] * 10 for heartbeat in beating}
    counts = [heartbeat.pings.filter(body="done").count() for heartbeat in beating]
    assert counts == [10] * COUNT


def test_many_reports_of_one_job_are_each_kept(beating):
    heartbeat = beating[0]

    at_once([heartbeat] * COUNT, times=5)

    assert heartbeat.pings.filter(body="done").count() == 5 * COUNT


def test_the_error_of_one_fails_no_other(beating, commits, monkeypatch):
    bad = beating[3].pk
    real = heartbeats._in_turn

    def write(wanted):
        is_taken = real(wanted)
        if wanted.check_id == bad:
            message = "spoilt"
            raise IntegrityError(message)
        return is_taken

    monkeypatch.setattr(heartbeats, "_in_turn", write)

    answers = at_once(beating)

    error = answers.pop(bad)
    assert (type(error), str(error)) == (IntegrityError, "spoilt")
    assert answers == {heartbeat.pk: [True] for heartbeat in beating if heartbeat.pk != bad}
    assert commits[0] == sorted([*answers, bad])
    assert sorted(commits[1:]) == [[key] for key in sorted([*answers, bad])]
    reported = HeartbeatPing.objects.filter(body="done").values_list("heartbeat_id", flat=True)
    assert sorted(reported) == sorted(answers)


def test_a_locked_file_is_waited_for_once(beating, commits, monkeypatch):
    def write(_wanted):
        message = "database is locked"
        raise OperationalError(message)

    monkeypatch.setattr(heartbeats, "_in_turn", write)

    answers = at_once(beating)

    assert {type(answer) for answer in answers.values()} == {OperationalError}
    assert len(commits) == 1
    assert HeartbeatPing.objects.filter(body="done").count() == 0
