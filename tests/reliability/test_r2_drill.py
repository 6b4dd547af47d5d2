"""A copy that was restored for a drill asks nobody."""

import asyncio

import pytest
from django.core.management import CommandError, call_command

from audit.models import AuditRecord
from core import leases
from core.errors import NotConfiguredError
from core.loops import run_once
from reliability.loops import LOOPS
from reliability.models import Check, Sample, UptimeTest
from reliability.services import uptime_tests
from reliability.services.probes import LEASE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def drill(make_check, settings):
    """Turn this platform, with one check, into a copy."""
    make_check()
    settings.OPS_MODE = "drill"


def test_a_run_is_refused_when_it_is_asked_for(drill, api, make_user):
    api.force_authenticate(make_user("reliability.run_uptimetest"))

    answer = api.post("/api/ops/uptime/test", {}, format="json")

    assert answer.status_code == 503
    assert "OPS_MODE=drill" in answer.data["detail"]
    assert UptimeTest.objects.count() == 0


def test_the_console_says_why_it_does_not_run_a_check(drill, console, make_user):
    body = {"action": "run_now", "_selected_action": [Check.objects.get().pk]}

    answer = console(make_user(role="admin")).post("/admin/reliability/check/", body, follow=True)

    assert b"OPS_MODE=drill" in answer.content
    assert UptimeTest.objects.count() == 0


def test_a_run_that_was_copied_with_the_database_fails(make_check, settings, operator, sent):
    make_check()
    test = uptime_tests.request(actor=operator)
    settings.OPS_MODE = "drill"

    uptime_tests.perform(job_id=str(test.pk))

    test.refresh_from_db()
    assert (test.state, test.error_code) == ("failed", "not-configured")
    assert Sample.objects.count() == 0


def test_the_command_refuses_to_look_once(drill):
    with pytest.raises(CommandError, match="OPS_MODE=drill"):
        call_command("uptime_monitor", "--once")

    assert Sample.objects.count() == 0
    assert not AuditRecord.objects.filter(action="uptimetest.performed").exists()


def test_the_stand_in_probes_nothing(drill):
    with pytest.raises(NotConfiguredError):
        asyncio.run(run_once(LOOPS[0]))

    assert Sample.objects.count() == 0
    assert not leases.is_held(name=LEASE)
