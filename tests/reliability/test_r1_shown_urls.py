"""The query of a check's URL may hold a token: only those who may change checks see it."""

import json

import pytest
from django.core.management import call_command

from audit.models import AuditRecord
from core.targets import shown_url
from notifications.models import Event
from reliability.models import Check, Incident, Service
from reliability.services import catalogue, uptime_tests

pytestmark = pytest.mark.django_db

URL = "http://127.0.0.1:9/health?key=hunter22"
SHOWN = "http://127.0.0.1:9/health?[masked]"


@pytest.fixture
def check(make_check):
    return make_check(URL)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://x.example/a", "https://x.example/a"),
        ("https://x.example/a?b=1&c#d?e", "https://x.example/a?[masked]"),
        ("https://x.example/#token", "https://x.example/?[masked]"),
    ],
)
def test_a_url_is_shown_up_to_its_query(url, shown):
    assert shown_url(url) == shown


def test_a_check_is_named_without_the_query(check):
    assert (check.label, str(check)) == (SHOWN, f"Service 1: {SHOWN}")


def test_the_audit_log_tells_that_a_query_changed_but_not_to_what(check, operator):
    catalogue.update_check(actor=operator, check_id=check.pk, url=f"{URL}3")
    catalogue.delete_check(actor=operator, check_id=check.pk)

    records = list(AuditRecord.objects.filter(action__startswith="check.").order_by("pk").values())
    assert [record["action"] for record in records] == [
        "check.created",
        "check.updated",
        "check.deleted",
    ]
    told = json.dumps(records, default=str)
    assert "hunter22" not in told
    assert told.count(SHOWN) >= 4


def test_an_alert_shows_no_query(check, see):
    see(check, False, False)

    event = Event.objects.get()
    assert SHOWN in event.body
    assert "hunter22" not in f"{event.title}{event.body}{Incident.objects.get().title}"


@pytest.mark.django_db(transaction=True)
def test_a_run_shows_no_query(check, operator):
    (told,) = uptime_tests.run_all(actor=operator)

    assert (told["url"], told["name"]) == (SHOWN, SHOWN)


@pytest.mark.parametrize(("role", "shown"), [("auditor", SHOWN), ("engineer", URL)])
def test_the_api_shows_the_query_to_those_who_may_change_checks(
    check, see, api, make_user, role, shown
):
    see(check, True)
    api.force_authenticate(make_user(role=role))

    listed = api.get("/api/checks/").data["results"][0]["url"]
    single = api.get(f"/api/checks/{check.pk}/").data["url"]
    nested = api.get(f"/api/services/{check.service_id}/").data["checks"][0]["url"]
    uptime = api.get("/api/ops/uptime/").data["results"][0]

    assert (listed, single, nested, uptime["url"]) == (shown,) * 4
    assert uptime["name"] == SHOWN


@pytest.mark.parametrize(("role", "is_shown"), [("auditor", False), ("engineer", True)])
def test_the_console_shows_the_query_to_those_who_may_change_checks(
    check, console, make_user, role, is_shown
):
    client = console(make_user(role=role))

    for page in (
        f"/admin/reliability/check/{check.pk}/change/",
        f"/admin/reliability/service/{check.service_id}/change/",
    ):
        answer = client.get(page)
        assert answer.status_code == 200
        assert (b"hunter22" in answer.content) is is_shown
        assert b"127.0.0.1:9/health" in answer.content


@pytest.mark.parametrize(("role", "count"), [("auditor", 0), ("engineer", 1)])
def test_a_query_is_found_by_those_who_may_change_checks(check, console, make_user, role, count):
    page = console(make_user(role=role)).get("/admin/reliability/check/?q=key%3Dhunter")

    assert len(page.context["cl"].result_list) == count


def test_a_service_added_by_its_check_has_no_query():
    call_command("services", "add", URL)

    assert Check.objects.get().url == URL
    assert Service.objects.get().url == "http://127.0.0.1:9/health"
