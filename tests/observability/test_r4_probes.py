"""Each probe looks at one part and says in safe words how it does."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from core.models import Process
from observability.engine.findings import OK, degraded, down
from observability.health import beat, broker, database, disk, migrations, workers


def refuse(execute, sql, params, many, context):
    """Stand for a database that is away."""
    message = "connection to host db.internal refused for user ops"
    raise OperationalError(message)


@pytest.fixture
def database_away():
    """Let every statement fail, as a lost connection does."""
    with connection.execute_wrapper(refuse):
        yield


@pytest.mark.django_db
def test_a_database_that_answers_is_ok():
    assert database.probe() == OK


@pytest.mark.django_db
@pytest.mark.usefixtures("database_away")
def test_a_database_that_does_not_answer_is_down():
    assert database.probe() == down("does not answer")
    assert migrations.probe() == down("cannot be read")


@pytest.mark.django_db
def test_all_migrations_are_applied():
    assert migrations.probe() == OK


@pytest.mark.django_db
def test_a_missing_migration_is_told():
    MigrationRecorder(connection).record_unapplied(*min(migrations.last_migrations()))

    assert migrations.probe() == down("some are not applied; run migrate")


def test_an_empty_queue_is_ok():
    assert broker.judge_queue([], now=0) == OK


@pytest.mark.parametrize(
    ("waited", "finding"),
    [(60, OK), (61, degraded("the oldest message has waited for over 60 s"))],
)
def test_a_message_that_waits_too_long_is_told(waited, finding):
    names = [f"{100 * 10**9:020}_a.celery.msg", f"{160 * 10**9:020}_b.celery.msg"]

    assert broker.judge_queue(names, now=100 + waited) == finding


def test_a_name_without_a_time_is_not_judged():
    assert broker.judge_queue(["stray.celery.msg"], now=1e12) == OK


def test_the_queue_folder_is_looked_at(settings, tmp_path):
    settings.REDIS_URL = ""
    settings.QUEUE_DIR = tmp_path
    (tmp_path / "messages").mkdir()
    assert broker.probe() == OK
    (tmp_path / "messages" / f"{1:020}_a.celery.msg").touch()

    assert broker.probe() == degraded("the oldest message has waited for over 60 s")


def test_a_redis_that_does_not_answer_is_down(settings, unused_port):
    settings.REDIS_URL = f"redis://:hunter2@127.0.0.1:{unused_port}/0"
    broker.client.cache_clear()
    try:
        assert broker.probe() == down("does not answer")
    finally:
        broker.client.cache_clear()


def test_a_redis_that_answers_is_ok(settings):
    if not settings.REDIS_URL:
        pytest.skip("The embedded profile has no Redis.")

    assert broker.probe() == OK


@pytest.fixture
def unused_port():
    """Return a port on which nothing listens."""
    from tests.support.servers import unused_port

    return unused_port()


PROBES = [
    (Process.Kind.WORKER, workers.probe_worker, 30),
    (Process.Kind.DAEMON, workers.probe_daemon, 30),
    (Process.Kind.BEAT, beat.probe, 90),
]


def report(kind, *, seconds_ago, pid=1):
    """Write the row of a process that reported so long ago."""
    now = timezone.now()
    Process.objects.create(
        kind=kind,
        host="here",
        pid=pid,
        version="1",
        started_at=now,
        beat_at=now - timedelta(seconds=seconds_ago),
    )


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "probe", "limit"), PROBES)
def test_a_process_that_never_reported_is_down(kind, probe, limit):
    for other in set(Process.Kind) - {kind}:
        report(other, seconds_ago=0)

    assert probe() == down("none is running")


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "probe", "limit"), PROBES)
def test_a_process_that_reported_lately_is_ok(kind, probe, limit):
    report(kind, seconds_ago=limit - 5)

    assert probe() == OK


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "probe", "limit"), PROBES)
def test_a_silent_process_is_down(kind, probe, limit):
    report(kind, seconds_ago=limit + 1)

    assert probe() == down(f"no sign of life for over {limit} s")


@pytest.mark.django_db
def test_one_process_of_several_is_enough():
    report(Process.Kind.WORKER, seconds_ago=300)
    report(Process.Kind.WORKER, seconds_ago=1, pid=2)

    assert workers.probe_worker() == OK


MIB = 1024**2


@pytest.mark.parametrize(
    ("total", "free", "finding"),
    [
        (100_000 * MIB, 50_000 * MIB, OK),
        (100_000 * MIB, 1_024 * MIB, OK),
        (100_000 * MIB, 1_023 * MIB, degraded("the disk is nearly full")),
        (2_000 * MIB, 100 * MIB, OK),
        (2_000 * MIB, 99 * MIB, degraded("the disk is nearly full")),
        (2_000 * MIB, 63 * MIB, down("the disk is full")),
        (0, 0, down("the disk is full")),
    ],
)
def test_free_room_is_judged(total, free, finding):
    assert disk.judge(total, free) == finding


def test_the_data_directory_is_looked_at(settings, tmp_path):
    settings.OPS_DATA_DIR = tmp_path
    assert disk.probe().state in {"ok", "degraded"}

    settings.OPS_DATA_DIR = tmp_path / "gone"
    assert disk.probe() == down("the data directory cannot be read")


@pytest.mark.skipif(os.geteuid() == 0, reason="Root may write everywhere.")
def test_a_directory_that_cannot_be_written_is_down(settings, tmp_path):
    settings.OPS_DATA_DIR = tmp_path
    tmp_path.chmod(0o500)

    assert disk.probe() == down("the data directory cannot be written")


def test_a_file_system_without_writing_is_down(settings):
    settings.OPS_DATA_DIR = Path("/proc")

    assert disk.probe() in {
        down("the data directory cannot be written"),
        down("the disk is full"),
    }
