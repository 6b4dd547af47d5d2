"""A list is taken along as a file: what the filters show, as text, by whoever may see it."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from django.urls import reverse

from accounts.roles import ROLES
from audit.models import AuditRecord
from core import listexport
from core.actors import Actor
from reliability.models import Check, Sample
from reliability.services import catalogue

pytestmark = pytest.mark.django_db

ACTOR = Actor.command("test")
LISTS = {
    "reliability_service": "reliability.view_service",
    "reliability_check": "reliability.view_check",
    "reliability_incident": "reliability.view_incident",
    "reliability_sample": "reliability.view_sample",
    "notifications_event": "notifications.view_event",
    "notifications_notification": "notifications.view_notification",
    "audit_auditrecord": "audit.export_auditrecord",
}


def ask(client, name, form="csv", **query):
    return client.get(reverse(f"admin:{name}_export", args=[form]), query)


def text_of(answer):
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()


def rows_of(answer):
    return list(csv.reader(io.StringIO(text_of(answer))))


@pytest.fixture
def make_service():
    return lambda **fields: catalogue.create_service(actor=ACTOR, **fields)


@pytest.fixture
def make_check(make_service):
    def make(name="Shop", url="http://127.0.0.1:9/", **fields):
        service = make_service(name=name)
        return catalogue.create_check(actor=ACTOR, service_id=service.pk, url=url, **fields)

    return make


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"user"}))
@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_taken_along_exactly_by_who_may(console, make_user, name, role):
    client = console(make_user(role=role))
    allowed = LISTS[name] in ROLES[role]
    assert ask(client, name).status_code == (200 if allowed else 403)
    page = client.get(reverse(f"admin:{name}_changelist"))
    if allowed and page.context["cl"].result_list:
        assert f"{reverse(f'admin:{name}_export', args=['csv'])}" in page.content.decode()


def test_seeing_the_audit_log_is_not_taking_it_along(console, make_user):
    client = console(make_user("audit.view_auditrecord", is_staff=True))
    page = client.get(reverse("admin:audit_auditrecord_changelist"))
    assert page.status_code == 200
    assert "export.csv" not in page.content.decode()
    assert ask(client, "audit_auditrecord").status_code == 403


def test_a_file_holds_the_columns_as_text(console, make_user, make_check):
    check = make_check(name="Shop & Co <b>")
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    Sample.objects.create(check_of=check, at=at, ok=False, latency_ms=1234, detail="No, thanks")
    client = console(make_user(role="manager"))

    answer = ask(client, "reliability_sample")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="results-')
    assert "no-store" in answer["Cache-Control"]
    assert rows_of(answer) == [
        ["Check", "Time", "Result", "Answer", "Latency", "Asked by hand"],
        [str(check), "2026-01-02T03:04:05Z", "Failed", "No, thanks", "1,234 ms", ""],
    ]
    (row,) = json.loads(text_of(ask(client, "reliability_sample", "json")))
    assert row == {
        "Check": str(check),
        "Time": "2026-01-02T03:04:05Z",
        "Result": "Failed",
        "Answer": "No, thanks",
        "Latency": "1,234 ms",
        "Asked by hand": "",
    }


def test_a_file_holds_what_the_filters_show_on_every_page(console, make_user, make_service):
    for number in range(130):
        make_service(name=f"Shop {number:03}", environment="staging" if number else "production")
    client = console(make_user(role="admin"))

    rows = rows_of(ask(client, "reliability_service", environment__exact="staging", o="-0"))
    assert rows[0] == ["Name", "State", "Available", "Tier", "Environment", "Owner"]
    assert [row[0] for row in rows[1:]] == [f"Shop {number:03}" for number in range(129, 0, -1)]

    page = client.get(reverse("admin:reliability_service_changelist"), {"q": "Shop", "p": "2"})
    assert 'href="/admin/reliability/service/export.csv?q=Shop"' in page.content.decode()


@pytest.mark.parametrize(
    "owner", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\n=1", "\u00a0=1", " \t-1"]
)
def test_no_cell_is_run_as_a_formula(console, make_user, make_service, owner):
    service = make_service(name="Shop")
    type(service).objects.update(owner=owner)
    client = console(make_user(role="admin"))

    assert rows_of(ask(client, "reliability_service"))[1][-1] == f"'{owner}"
    (row,) = json.loads(text_of(ask(client, "reliability_service", "json")))
    assert row["Owner"] == owner


def test_no_secret_leaves_with_the_checks(console, make_user, make_check):
    make_check(url="http://127.0.0.1:9/?token=s3cret", headers={"Authorization": "h1dden"})
    text = text_of(ask(console(make_user(role="manager")), "reliability_check"))
    assert "Shop" in text
    assert "s3cret" not in text
    assert "h1dden" not in text


def test_a_file_ends_at_the_limit_and_says_so(console, make_user, make_service, monkeypatch):
    monkeypatch.setattr(listexport, "MOST_ROWS", 2)
    for number in range(3):
        make_service(name=f"Shop {number}")
    answer = ask(console(make_user(role="admin")), "reliability_service")
    assert "-first-2.csv" in answer["Content-Disposition"]
    assert len(rows_of(answer)) == 3


def test_taking_a_list_along_is_on_the_record(console, make_user, make_service):
    make_service(name="Shop")
    person = make_user(role="auditor")
    ask(console(person), "reliability_service", q="sho")

    row = AuditRecord.objects.get(action="list.exported")
    assert (row.actor_name, row.outcome) == (person.username, "allowed")
    assert json.loads(row.payload) == {
        "form": "csv",
        "list": "reliability.Service",
        "query": "q=sho",
        "rows": 1,
    }


def test_what_is_no_list_or_no_form_is_not_found(console, make_user):
    client = console(make_user(role="admin"))
    assert ask(client, "reliability_service", "xml").status_code == 404
    assert client.post("/admin/reliability/service/export.csv").status_code == 405
    assert client.get("/admin/accounts/user/export.csv").status_code == 301
    assert ask(client, "reliability_service", nonsense="1").status_code == 302
    assert Check.objects.count() == 0
