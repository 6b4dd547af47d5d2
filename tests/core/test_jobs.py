"""Jobs as rows: nothing lost, nothing done twice."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from core import jobs
from core.jobs import Job
from reliability.models import UptimeTest

pytestmark = pytest.mark.django_db


def _job(**fields):
    return UptimeTest.objects.create(**fields)


def _reload(job):
    job.refresh_from_db()
    return job


def test_a_ring_leaves_after_commit(sent, django_capture_on_commit_callbacks):
    job = _job()
    with django_capture_on_commit_callbacks(execute=True):
        jobs.ring(job)
        assert sent == []
    assert sent == [(UptimeTest.task_name, {"job_id": str(job.pk)})]


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_transaction_rings_nothing(sent):
    def act():
        with transaction.atomic():
            jobs.enqueue("some.task", key=1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        act()
    assert sent == []


def test_only_the_first_worker_begins():
    job = _job()
    assert jobs.begin(UptimeTest, str(job.pk)) is not None
    assert jobs.begin(UptimeTest, str(job.pk)) is None
    assert _reload(job).attempts == 1


def test_a_worker_that_lost_its_lease_cannot_finish():
    job = _job()
    first = jobs.begin(UptimeTest, str(job.pk))
    UptimeTest.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=10))
    jobs.sweep_jobs()
    second = jobs.begin(UptimeTest, str(job.pk))

    assert not jobs.finish(UptimeTest, first, Job.State.DONE)
    assert jobs.finish(UptimeTest, second, Job.State.DONE)
    assert _reload(job).state == "done"


def test_a_silent_job_is_queued_again_at_most_three_times():
    job = _job()
    for _ in range(3):
        assert jobs.begin(UptimeTest, str(job.pk)) is not None
        UptimeTest.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=10))
        jobs.sweep_jobs()
    assert (_reload(job).state, job.error_code) == ("failed", "lost")
    assert jobs.begin(UptimeTest, str(job.pk)) is None


def test_a_lost_message_is_rung_again_with_growing_patience(sent):
    job = _job(rung_at=timezone.now() - timedelta(seconds=11))

    assert jobs.sweep_jobs()["rung"] == 1
    assert sent == [(UptimeTest.task_name, {"job_id": str(job.pk)})]
    assert jobs.sweep_jobs()["rung"] == 0

    UptimeTest.objects.update(rung_at=timezone.now() - timedelta(seconds=15))
    assert jobs.sweep_jobs()["rung"] == 0
    UptimeTest.objects.update(rung_at=timezone.now() - timedelta(seconds=21))
    assert jobs.sweep_jobs()["rung"] == 1
    assert _reload(job).rings == 2


def test_a_job_that_is_not_due_is_left_alone(sent):
    _job(due_at=timezone.now() + timedelta(hours=1), rung_at=timezone.now() - timedelta(hours=1))
    assert jobs.sweep_jobs()["rung"] == 0
    assert sent == []


def test_a_cancelled_job_does_not_begin():
    job = _job(cancel_requested_at=timezone.now())
    jobs.sweep_jobs()
    assert _reload(job).state == "cancelled"
    assert jobs.begin(UptimeTest, str(job.pk)) is None


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_job_whose_worker_dies_after_it_was_cancelled_ends_as_cancelled(sent, attempts):
    job = _job(attempts=attempts - 1)
    assert jobs.begin(UptimeTest, str(job.pk)) is not None
    long_ago = timezone.now() - timedelta(minutes=10)
    UptimeTest.objects.update(heartbeat_at=long_ago, cancel_requested_at=long_ago)

    counts = jobs.sweep_jobs()

    assert counts == {"rung": 0, "requeued": 0, "lost": 0, "cancelled": 1}
    job = _reload(job)
    assert (job.state, job.error_code, job.lease) == ("cancelled", "", None)
    assert job.finished_at is not None


def test_a_running_job_learns_that_it_was_cancelled():
    job = _job()
    lease = jobs.begin(UptimeTest, str(job.pk))
    assert jobs.heartbeat(UptimeTest, lease, progress=10)
    UptimeTest.objects.update(cancel_requested_at=timezone.now())
    assert not jobs.heartbeat(UptimeTest, lease, progress=20)


def test_a_broker_that_refuses_leaves_the_row_to_the_sweep(monkeypatch, caplog):
    def refuse(*_args, **_kwargs):
        raise OperationalError

    monkeypatch.setattr("core.jobs.current_app.send_task", refuse)
    jobs.send("some.task", {})
    assert "the sweep tries again" in caplog.text
