"""Old logs are compressed and removed by a periodic job; what is removed is audited."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from audit.models import AuditRecord
from core.actors import Actor
from core.logarchive import Tidied, segments
from core.periodic import all_periodic_jobs
from observability import tasks
from observability.services.logs import tidy_logs

ACTOR = Actor.command("test")


@pytest.fixture
def log(settings, tmp_path):
    """Return the path of the platform's log."""
    settings.LOGS_FILE = str(tmp_path / "app.log")
    settings.LOG_RETENTION_DAYS = 30
    return Path(settings.LOGS_FILE)


def rotated(log, name, *, written_at):
    segment = log.with_name(name)
    segment.write_bytes(b"line\n")
    os.utime(segment, (written_at, written_at))
    return segment


@pytest.mark.django_db
def test_removing_is_audited(log, settings):
    rotated(log, "app-20200101T000000Z-1.log", written_at=1e9)

    assert tidy_logs(actor=ACTOR) == Tidied(removed=1)

    assert segments(log) == []
    row = AuditRecord.objects.get()
    assert (row.action, row.actor_key) == ("log_segments.removed", "test")
    expected = {"removed": 1, "older_than_days": 30, "host": settings.HOSTNAME}
    assert json.loads(row.payload) == expected


@pytest.mark.django_db
def test_doing_nothing_is_not(log):
    assert tidy_logs(actor=ACTOR) == Tidied()
    assert AuditRecord.objects.count() == 0


@pytest.mark.django_db
def test_a_log_on_stderr_has_no_files(settings):
    settings.LOGS_FILE = "-"

    assert tidy_logs(actor=ACTOR) == Tidied()


@pytest.mark.django_db
def test_what_cannot_be_handled_is_told(log, caplog):
    rotated(log, "app-20200101T000000Z-1.log", written_at=1e9).unlink()
    (log.parent / "app-20200101T000000Z-1.log").mkdir()
    os.utime(log.parent / "app-20200101T000000Z-1.log", (1e9, 1e9))

    assert tidy_logs(actor=ACTOR).removed == 0

    assert [record.getMessage() for record in caplog.records] == [
        "A log segment cannot be kept in order: app-20200101T000000Z-1.log: Is a directory"
    ]


@pytest.mark.django_db
def test_the_task_may_come_twice(log):
    rotated(log, "app-20200101T000000Z-1.log", written_at=1e9)

    assert [tasks.tidy_logs(), tasks.tidy_logs()] == [1, 0]
    assert AuditRecord.objects.get().actor_key == "Log retention"


def test_the_job_runs_at_night():
    (job,) = [job for job in all_periodic_jobs() if job.name == "Log retention"]

    assert (job.task, job.cron, job.expires_seconds) == (
        "observability.tidy_logs",
        "30 4 * * *",
        3600,
    )
