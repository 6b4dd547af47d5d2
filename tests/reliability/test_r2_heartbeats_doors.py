"""Heartbeats by API and in the console (R2, R8)."""

import subprocess

import pytest

from audit.models import AuditRecord
from reliability.admin.contexts.heartbeats import commands
from reliability.models import Check, Heartbeat, HeartbeatPing
from reliability.services import catalogue

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(api, make_user):
    """Return a function that signs the API client in by a role."""

    def sign_in(role="admin"):
        api.force_authenticate(make_user(role=role))
        return api

    return sign_in


@pytest.fixture
def heartbeat(make_service, operator):
    check = catalogue.create_check(
        actor=operator, service_id=make_service().pk, kind="heartbeat", name="nightly"
    )
    return Heartbeat.objects.get(pk=check.pk)


def test_a_heartbeat_is_made_and_changed_as_a_check(signed_in, make_service):
    client = signed_in()
    service = make_service()

    made = client.post(
        "/api/checks/",
        {
            "service": service.pk,
            "kind": "heartbeat",
            "name": "nightly",
            "heartbeat": {"schedule": "cron", "cron": "0 2 * * *", "time_zone": "Europe/Berlin"},
        },
        format="json",
    )
    path = f"/api/checks/{made.data['id']}/"
    changed = client.patch(path, {"heartbeat": {"grace_seconds": 60}}, format="json")

    assert (made.status_code, changed.status_code) == (201, 200), (made.data, changed.data)
    shown = client.get(path).data["heartbeat"]
    found = Heartbeat.objects.get()
    assert shown["address"].endswith(f"/hb/{found.token}")
    assert (shown["cron"], shown["grace_seconds"], shown["status"]) == ("0 2 * * *", 60, "new")
    updated = AuditRecord.objects.get(action="check.updated")
    assert str(found.token) not in str(updated.payload)
    assert "grace_seconds" in str(updated.payload)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"heartbeat": {"cron": "61 * * * *", "schedule": "cron"}}, "heartbeat.cron"),
        ({"heartbeat": {"schedule": "cron", "cron": ""}}, "non_field_errors"),
        ({"heartbeat": {"period_seconds": 9}}, "heartbeat.period_seconds"),
        ({"heartbeat": {"rhythm": 9}}, "heartbeat.rhythm"),
        ({"kind": "http", "url": "http://127.0.0.1/"}, "kind"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(signed_in, heartbeat, fields, named):
    answer = signed_in().patch(f"/api/checks/{heartbeat.pk}/", fields, format="json")

    assert answer.status_code == 400
    assert list(answer.data["errors"]) == [named]
    after = Heartbeat.objects.select_related("check_of").get()
    assert (after.schedule, after.period_seconds, after.check_of.kind) == (
        "period",
        86_400,
        "heartbeat",
    )


def test_another_kind_has_no_rhythm(signed_in, make_check):
    check = make_check()

    answer = signed_in().patch(
        f"/api/checks/{check.pk}/", {"heartbeat": {"period_seconds": 60}}, format="json"
    )

    assert answer.status_code == 400
    assert Heartbeat.objects.count() == 0


def test_the_address_is_for_those_who_may_change_checks(signed_in, heartbeat):
    shown = signed_in("auditor").get(f"/api/checks/{heartbeat.pk}/").data

    assert shown["heartbeat"]["address"] is None
    assert str(heartbeat.token) not in str(shown)


def test_a_new_address_ends_the_old_one(signed_in, heartbeat, client):
    answer = signed_in().post(f"/api/checks/{heartbeat.pk}/rotate")

    old, new = heartbeat.token, Heartbeat.objects.get().token
    assert (answer.status_code, old != new) == (200, True)
    assert answer.data["address"].endswith(str(new))
    assert [client.get(f"/hb/{token}").status_code for token in (old, new)] == [404, 200]
    assert AuditRecord.objects.filter(action="heartbeat.token_rotated").count() == 1


def test_pings_come_with_bodies_only_for_operators(signed_in, heartbeat, make_user, api):
    HeartbeatPing.objects.create(heartbeat=heartbeat, kind="fail", exit_code=3, body="disk full")

    (seen,) = signed_in().get(f"/api/checks/{heartbeat.pk}/pings").data["results"]
    api.force_authenticate(make_user(role="engineer"))
    (less,) = api.get(f"/api/checks/{heartbeat.pk}/pings").data["results"]

    assert (seen["kind"], seen["exit_code"], seen["body"]) == ("fail", 3, "disk full")
    assert "body" not in less


def test_durations_come_in_the_order_of_time(signed_in, heartbeat):
    for ms in (1_500, 2_500):
        HeartbeatPing.objects.create(heartbeat=heartbeat, kind="success", duration_ms=ms)

    data = signed_in().get(f"/api/checks/{heartbeat.pk}/durations").data

    assert data["seconds"] == [1.5, 2.5]
    assert len(data["at"]) == 2


def test_the_console_adds_and_changes_a_heartbeat(console, make_user, make_service):
    client = console(make_user(role="admin"))
    service = make_service()
    form = {
        "service": service.pk,
        "name": "nightly",
        "enabled": "on",
        "schedule": "period",
        "period_seconds": 3_600,
        "time_zone": "UTC",
        "grace_seconds": 60,
    }

    added = client.post("/admin/reliability/heartbeat/add/", form)
    check = Check.objects.get()
    page = f"/admin/reliability/heartbeat/{check.pk}/change/"
    changed = client.post(page, {**form, "name": "nightly backup", "grace_seconds": 90})

    assert added["Location"] == changed["Location"] == f"/admin/reliability/check/{check.pk}/"
    check.refresh_from_db()
    assert (check.kind, check.name, check.heartbeat.grace_seconds) == (
        "heartbeat",
        "nightly backup",
        90,
    )
    assert client.get(added["Location"]).status_code == 200
    assert b"nightly backup" in client.get("/admin/reliability/heartbeat/").content


def test_the_console_renews_an_address_only_by_post(console, make_user, heartbeat):
    client = console(make_user(role="admin"))
    path = f"/admin/reliability/heartbeat/{heartbeat.pk}/rotate/"

    asked = client.get(path)
    assert (asked.status_code, Heartbeat.objects.get().token) == (200, heartbeat.token)
    done = client.post(path)

    assert done.status_code == 302
    assert Heartbeat.objects.get().token != heartbeat.token


def test_who_may_not_change_checks_cannot_renew(console, make_user, heartbeat):
    client = console(make_user(role="auditor"))

    answer = client.post(f"/admin/reliability/heartbeat/{heartbeat.pk}/rotate/")

    assert answer.status_code == 403
    assert Heartbeat.objects.get().token == heartbeat.token


def test_lists_cost_the_same_for_many_rows(
    console, make_user, make_service, operator, django_assert_max_num_queries
):
    service = make_service()
    for number in range(5):
        catalogue.create_check(
            actor=operator, service_id=service.pk, kind="heartbeat", name=f"job {number}"
        )
    client = console(make_user(role="admin"))
    client.get("/admin/reliability/heartbeat/")

    with django_assert_max_num_queries(20):
        client.get("/admin/reliability/heartbeat/")


@pytest.mark.parametrize(
    ("told", "what"),
    [({"EXIT_STATUS": "0"}, "0"), ({"EXIT_STATUS": "KILL"}, "KILL"), ({}, "fail")],
)
def test_the_service_of_systemd_tells_how_its_job_ended(heartbeat, tmp_path, told, what):
    recipe = dict(commands(heartbeat, "https://ops.example/hb/token"))["As a systemd service"]
    line = recipe.rpartition("/bin/sh -c '")[2].removesuffix("'")
    stub = tmp_path / "curl"
    stub.write_text('#!/bin/sh\necho "$@"\n')
    stub.chmod(0o755)

    # systemd makes $ of $$ before the shell sees the line.
    script = line.replace("$$", "$")
    ran = subprocess.run(
        ["/bin/sh", "-c", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", **told},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.split()[-1] == f"https://ops.example/hb/token/{what}"
