"""Files of checks by API, on the command line and in the console."""

import io
import json
import re

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from audit.models import AuditRecord
from core.crypto import keyed_digest
from reliability.models import Check, Service

CSV = "service,name,url\nShop,Home,https://shop.example.com/?token=x\n"
YAML = "services:\n- name: Shop\n  checks:\n  - name: Home\n    url: https://shop.example.com/?token=x\n"


@pytest.fixture
def operator_api(api, make_user):
    api.force_authenticate(make_user(role="admin"))
    return api


def send(api, text, kind="text/csv", query=""):
    return api.post(f"/api/checks/import{query}", data=text, content_type=kind)


@pytest.mark.parametrize(
    ("text", "kind"), [(CSV, "text/csv"), (YAML, "application/yaml"), (YAML, "application/x-yaml")]
)
def test_a_file_is_taken_over(operator_api, text, kind):
    answer = send(operator_api, text, kind)

    assert answer.status_code == 200
    assert answer.json() == {
        "dry_run": False,
        "added": 2,
        "changed": 0,
        "left": 0,
        "refused": 0,
        "lines": [
            {"line": 2 if kind == "text/csv" else 4, "service": "Shop", "check": check}
            | {"verdict": "added", "text": ""}
            for check in ("", "Home")
        ],
    }
    assert Check.objects.get().url == "https://shop.example.com/?token=x"
    again = send(operator_api, text, kind).json()
    assert (again["added"], again["left"], again["lines"]) == (0, 1, [])


def test_a_dry_run_only_tells(operator_api):
    answer = send(operator_api, CSV + "Shop,Bad,nonsense\n", query="?dry_run=true")

    assert answer.status_code == 200
    body = answer.json()
    assert (body["dry_run"], body["added"], body["refused"]) == (True, 2, 1)
    assert body["lines"][-1]["verdict"] == "refused"
    assert Service.objects.count() == AuditRecord.objects.count() == 0


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("engineer", 200), ("auditor", 403)])
def test_a_dashboard_key_takes_a_file_over(db, api, settings, role, status):
    key = "a-dashboard-key-of-forty-characters-0123"
    settings.DASHBOARD_KEYS = ((keyed_digest(settings.DASHBOARD_PEPPER, key), role),)

    answer = api.post(
        "/api/checks/import", data=CSV, content_type="text/csv", headers={"X-Dash-Key": key}
    )

    assert answer.status_code == status
    assert Check.objects.count() == (1 if status == 200 else 0)


@pytest.mark.parametrize(
    ("text", "kind", "query", "status"),
    [
        (CSV + "Shop,Bad,nonsense\n", "text/csv", "", 400),
        ("colour\nred\n", "text/csv", "", 400),
        ("services: &x []", "application/yaml", "", 400),
        (CSV, "text/csv", "?dry_run=perhaps", 400),
        ("{}", "application/json", "", 415),
        ("", "text/csv", "", 400),
    ],
)
def test_what_cannot_be_used_changes_nothing(operator_api, text, kind, query, status):
    answer = send(operator_api, text, kind, query)

    assert answer.status_code == status
    assert Service.objects.count() == AuditRecord.objects.count() == 0


def test_refused_lines_are_named(operator_api):
    answer = send(operator_api, CSV + "Shop,Bad,nonsense\n")

    assert list(answer.json()["errors"]) == ["line 3"]


@pytest.mark.parametrize(
    "missing",
    ["reliability.add_service", "reliability.change_service", "reliability.change_check"],
)
def test_importing_needs_every_right(api, make_user, missing):
    held = {
        "reliability.add_service",
        "reliability.change_service",
        "reliability.add_check",
        "reliability.change_check",
    }
    api.force_authenticate(make_user(*(held - {missing})))

    assert send(api, CSV).status_code == 403
    assert Service.objects.count() == 0


@pytest.mark.parametrize("form", ["csv", "yaml"])
def test_an_export_is_taken_back(operator_api, form):
    send(operator_api, CSV)

    answer = operator_api.get(f"/api/checks/export.{form}", headers={"Accept": "*/*"})

    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == f'attachment; filename="checks.{form}"'
    assert answer.headers["Cache-Control"] == "no-store"
    text = b"".join(answer.streaming_content).decode()
    assert "https://shop.example.com/?token=x" in text
    kind = "text/csv" if form == "csv" else "application/yaml"
    assert send(operator_api, text, kind).json()["left"] == 1
    told = AuditRecord.objects.get(action="checks.exported")
    assert json.loads(told.payload) == {"form": form, "services": 1, "checks": 1}


def test_whoever_may_not_change_checks_takes_none_along(api, make_user):
    api.force_authenticate(make_user("reliability.view_check"))

    assert api.get("/api/checks/export.csv").status_code == 403
    assert AuditRecord.objects.filter(action="checks.exported").count() == 0


@pytest.mark.parametrize("form", ["csv", "yaml"])
def test_the_command_writes_and_reads(db, tmp_path, form, make_service, make_check):
    make_check("https://a.example/", service=make_service("Shop"), name="Home")
    file = tmp_path / f"checks.{form}"
    call_command("checks", "export", "--format", form, "--output", str(file))
    printed = io.StringIO()
    call_command("checks", "export", "--format", form, stdout=printed)
    assert printed.getvalue().splitlines() == file.read_text().splitlines()
    file.write_text(file.read_text().replace("Home", "Start"))

    out = io.StringIO()
    call_command("checks", "import", str(file), "--dry-run", stdout=out)
    assert Check.objects.count() == 1
    call_command("checks", "import", str(file), stdout=out)

    line = 2 if form == "csv" else 11
    assert out.getvalue().splitlines() == [
        f"+ line {line}: Shop: Start",
        "Would be: 1 added, 0 changed, 0 left.",
        f"+ line {line}: Shop: Start",
        "1 added, 0 changed, 0 left.",
    ]
    assert Check.objects.count() == 2


def test_the_command_refuses_as_a_whole(db, tmp_path):
    file = tmp_path / "checks.csv"
    file.write_text(CSV + "Shop,Bad,nonsense\n")

    for options in ([], ["--dry-run"]):
        with pytest.raises(CommandError):
            call_command("checks", "import", str(file), *options, stdout=io.StringIO())
    with pytest.raises(CommandError, match="No such file"):
        call_command("checks", "import", str(tmp_path / "none.csv"))
    with pytest.raises(CommandError, match="--format"):
        call_command("checks", "import", str(tmp_path / "none.txt"))

    assert Service.objects.count() == 0


@pytest.fixture
def page(console, make_user):
    return console(make_user(role="admin")), reverse("admin:reliability_service_exchange")


def upload(client, address, text, name="checks.csv"):
    file = io.BytesIO(text.encode())
    file.name = name
    return client.post(address, {"file": file})


def test_the_page_first_shows_what_would_happen(page):
    client, address = page

    shown = upload(client, address, CSV)

    assert shown.status_code == 200
    text = shown.content.decode()
    assert "2 added, 0 changed, 0 left, 0 refused" in text
    assert "Take over" in text
    assert Service.objects.count() == 0
    done = client.post(address, {"content": CSV, "form": "csv", "confirmed": "yes"})
    assert done.status_code == 302
    assert Check.objects.get().name == "Home"


def test_the_page_offers_nothing_where_a_line_is_refused(page):
    client, address = page
    bad = CSV + "Shop,<b>Bad,nonsense\n"

    shown = upload(client, address, bad)

    text = shown.content.decode()
    assert "Shop" in text
    assert "<b>Bad" not in text
    assert 'name="confirmed"' not in text
    client.post(address, {"content": bad, "form": "csv", "confirmed": "yes"})
    assert Service.objects.count() == 0


def test_the_page_tells_lines_in_their_order(page):
    client, address = page

    shown = upload(client, address, CSV + "Shop,Bad,nonsense\nBakery,Home,https://b.example/\n")

    lines = re.findall(r"<tr>\s*<t[dh][^>]*>\s*(\d+)", shown.content.decode())
    assert lines == sorted(lines)
    assert lines[-1] == "4"


@pytest.mark.parametrize(
    ("text", "name"),
    [("colour\nred", "a.csv"), ("x", "a.exe"), ("services: [", "a.yml"), ("", "a.csv")],
)
def test_the_page_says_what_is_wrong_with_a_file(page, text, name):
    client, address = page

    shown = upload(client, address, text, name)

    assert shown.status_code == 200
    assert b'class="errornote' in shown.content or b"errorlist" in shown.content
    assert Service.objects.count() == 0


def test_the_page_is_for_those_who_may_import(console, make_user):
    reader = make_user("reliability.view_service", "reliability.view_check", is_staff=True)
    address = reverse("admin:reliability_service_exchange")
    client = console(reader)

    assert client.get(address).status_code == 403
    assert upload(client, address, CSV).status_code == 403
    assert (
        client.get(reverse("admin:reliability_service_takealong", args=["csv"])).status_code == 403
    )
