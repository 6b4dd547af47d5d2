"""The schedule in the console: changes are on the record, and only admins make them."""

import json

import pytest
from django.core.management import call_command
from django_celery_beat.models import PeriodicTask

from audit.models import AuditRecord

pytestmark = pytest.mark.django_db


@pytest.fixture
def job():
    call_command("sync_periodic_jobs")
    return PeriodicTask.objects.get(name="Job sweep")


def _form(job, **changes):
    return {
        "name": job.name,
        "regtask": "",
        "task": job.task,
        "crontab": job.crontab_id,
        "args": job.args,
        "kwargs": job.kwargs,
        "headers": job.headers,
        "description": job.description,
        "expire_seconds": job.expire_seconds,
        **changes,
    }


def test_switching_a_job_off_is_on_the_record(console, make_user, job):
    client = console(make_user(role="admin", username="root"))
    page = f"/admin/django_celery_beat/periodictask/{job.pk}/change/"
    assert client.get(page).status_code == 200
    assert client.post(page, _form(job)).status_code == 302

    job.refresh_from_db()
    assert not job.enabled
    row = AuditRecord.objects.get(action="periodictask.updated")
    assert row.actor_name == "root"
    payload = json.loads(row.payload)
    assert (payload["before"], payload["after"]) == ({"enabled": True}, {"enabled": False})


@pytest.mark.parametrize("role", ["operator", "manager", "engineer", "analyst"])
def test_other_roles_do_not_see_the_schedule(console, make_user, job, role):
    page = f"/admin/django_celery_beat/periodictask/{job.pk}/change/"
    assert console(make_user(role=role)).get(page).status_code == 403


def test_an_auditor_sees_and_changes_nothing(console, make_user, job):
    client = console(make_user(role="auditor"))
    page = f"/admin/django_celery_beat/periodictask/{job.pk}/change/"
    assert client.get(page).status_code == 200
    assert client.post(page, _form(job)).status_code == 403
    job.refresh_from_db()
    assert job.enabled
    assert not AuditRecord.objects.filter(action__startswith="periodictask").exists()


def test_no_page_has_an_inline_script(console, make_user, job):
    client = console(make_user(role="admin"))
    page = client.get(f"/admin/django_celery_beat/periodictask/{job.pk}/change/").content.decode()
    import re

    inline = re.findall(r"<script(?![^>]*(?:\bsrc=|application/json))[^>]*>", page)
    assert inline == []
