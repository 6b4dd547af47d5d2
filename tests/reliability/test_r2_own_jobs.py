"""The platform's periodic jobs are heartbeats of their own, without anybody's doing (R2)."""

import json
from types import SimpleNamespace

import pytest
from celery.signals import task_postrun, task_prerun
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from audit.services.acts import unwatched
from reliability.models import Check, Heartbeat, HeartbeatPing, Incident, Service
from reliability.services import catalogue, own_jobs

pytestmark = pytest.mark.django_db

NAME = "Nightly tidying"


@pytest.fixture
def scheduled():
    """Put a job into the schedule."""
    with unwatched("set-up of a test"):
        crontab = CrontabSchedule.objects.create(
            minute="30", hour="2", day_of_week="1-5", timezone="Europe/Berlin"
        )
        return PeriodicTask.objects.create(
            name=NAME, task="core.run_loop_slice", crontab=crontab, kwargs=json.dumps({})
        )


def run(name=NAME, state="SUCCESS", retval=None):
    """Send what a worker sends around a task of beat."""
    request = SimpleNamespace(periodic_task_name=name) if name else SimpleNamespace()
    task = SimpleNamespace(request=request)
    task_prerun.send(sender=None, task_id="1", task=task)
    task_postrun.send(sender=None, task_id="1", task=task, state=state, retval=retval)


def heartbeat():
    return Heartbeat.objects.select_related("check_of__service", "check_of__state").get(job=NAME)


def test_the_first_run_registers_the_job_by_its_schedule(scheduled):
    run()

    found = heartbeat()
    check = found.check_of
    assert (check.service.name, check.name) == ("OpsPlatform", f"job {NAME}")
    assert (found.schedule, found.cron, found.time_zone) == (
        "cron",
        "30 2 * * 1-5",
        "Europe/Berlin",
    )
    assert (check.says.state, found.status) == ("up", "up")
    assert found.due_at > timezone.now()


def test_later_runs_tell_their_duration(scheduled):
    run()
    run()

    kinds = HeartbeatPing.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["success", "start", "success"]
    assert heartbeat().last_duration_ms is not None


def test_a_job_that_fails_is_down_and_names_the_kind_of_error_only(scheduled):
    run()
    run(state="FAILURE", retval=ValueError("password=hunter22"))

    assert heartbeat().check_of.says.state == "down"
    assert HeartbeatPing.objects.latest("pk").body == "The task ended with ValueError."
    assert Incident.objects.get().service.name == "OpsPlatform"


def test_one_that_is_tried_again_has_not_ended(scheduled):
    run()
    run(state="RETRY")

    assert heartbeat().started_at is not None
    assert heartbeat().check_of.says.state == "up"


def test_other_tasks_are_no_heartbeats(scheduled):
    run(name="")
    run(name="Not in the schedule")

    assert (Heartbeat.objects.count(), Service.objects.count()) == (0, 0)


def test_a_new_time_is_followed_and_what_operators_set_stays(scheduled, operator):
    run()
    pk = heartbeat().pk
    catalogue.update_check(actor=operator, check_id=pk, heartbeat={"grace_seconds": 1_234})
    with unwatched("what an operator does"):
        CrontabSchedule.objects.update(hour="5")

    assert own_jobs.synchronise() == {"changed": 1, "switched": 0, "removed": 0}
    assert own_jobs.synchronise() == {"changed": 0, "switched": 0, "removed": 0}

    assert (heartbeat().cron, heartbeat().grace_seconds) == ("30 5 * * 1-5", 1_234)


def test_the_switch_of_the_job_turns_that_of_its_check(scheduled):
    run()
    for enabled in (False, True):
        with unwatched("what an operator does"):
            PeriodicTask.objects.filter(name=NAME).update(enabled=enabled)

        assert own_jobs.synchronise()["switched"] == 1

        assert heartbeat().check_of.enabled is enabled
        assert own_jobs.synchronise()["switched"] == 0


def test_a_job_that_is_gone_takes_its_heartbeat_along(scheduled):
    run()
    with unwatched("what an operator does"):
        PeriodicTask.objects.filter(name=NAME).delete()

    assert own_jobs.synchronise()["removed"] == 1

    assert Check.objects.filter(kind="heartbeat").count() == 0


def test_an_own_job_has_no_address(scheduled, api, make_user):
    run()
    api.force_authenticate(make_user(role="admin"))

    shown = api.get(f"/api/checks/{heartbeat().pk}/").data["heartbeat"]
    renewed = api.post(f"/api/checks/{heartbeat().pk}/rotate")

    assert (shown["address"], shown["status"]) == (None, "up")
    assert renewed.status_code == 400
