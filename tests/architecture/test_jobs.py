"""What is rung exists and takes what it is given; what is scheduled can run."""

import ast
import inspect
from pathlib import Path

import pytest
from celery import current_app
from django.apps import apps
from django.core.management import call_command
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from core.jobs import Job
from core.loops import all_loops
from core.periodic import all_periodic_jobs

ROOT = Path(__file__).resolve().parents[2]


def _signature(task_name):
    current_app.loader.import_default_modules()
    return inspect.signature(current_app.tasks[task_name].run)


def _enqueue_calls():
    for file in ROOT.glob("*/services/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "enqueue":
                yield file, node


def test_enqueued_tasks_exist_and_take_the_keywords():
    for _, call in _enqueue_calls():
        keywords = {keyword.arg: None for keyword in call.keywords}
        _signature(ast.literal_eval(call.args[0])).bind(**keywords)


def test_every_job_model_has_its_task():
    models = [model for model in apps.get_models() if issubclass(model, Job)]
    assert models
    for model in models:
        _signature(model.task_name).bind(job_id="00000000-0000-0000-0000-000000000000")


def test_periodic_jobs_name_a_task_and_expire():
    jobs = all_periodic_jobs()
    assert len({job.name for job in jobs}) == len(jobs)
    for job in jobs:
        _signature(job.task).bind(**job.kwargs)
        assert 0 < job.expires_seconds <= 86_400
        assert job.why.endswith(".")


def test_stand_ins_name_a_loop():
    named = {job.kwargs["loop"] for job in all_periodic_jobs() if "loop" in job.kwargs}
    assert named == set(all_loops())


@pytest.mark.django_db
def test_the_migration_made_every_row():
    made = set(PeriodicTask.objects.values_list("name", flat=True))
    if not made:
        # A transactional test before this one has flushed what migrations made.
        call_command("sync_periodic_jobs")
        made = set(PeriodicTask.objects.values_list("name", flat=True))
    assert made == {job.name for job in all_periodic_jobs()}


@pytest.mark.django_db
def test_synchronising_keeps_what_the_operator_chose():
    call_command("sync_periodic_jobs")
    job = all_periodic_jobs()[0]
    crontab, _ = CrontabSchedule.objects.get_or_create(minute="17", hour="3", timezone="UTC")
    PeriodicTask.objects.filter(name=job.name).update(
        crontab=crontab, enabled=False, queue="slow", description="stale"
    )

    call_command("sync_periodic_jobs")

    row = PeriodicTask.objects.get(name=job.name)
    assert (row.crontab, row.enabled, row.queue) == (crontab, False, "slow")
    assert row.description == job.why
