"""Maintenance by API and in the console (R5, R8)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from reliability.models import MaintenanceOccurrence, MaintenanceWindow

pytestmark = pytest.mark.django_db


@pytest.fixture
def plan(make_service):
    """Return what is asked of the API: an hour, tomorrow."""
    return {
        "title": "New disks",
        "services": [make_service().pk],
        "starts_at": (timezone.now() + timedelta(days=1)).isoformat(),
        "duration_seconds": 3_600,
    }


@pytest.fixture
def engineer(api, make_user):
    api.force_authenticate(make_user(role="engineer"))
    return api


def test_an_engineer_declares_changes_and_cancels(engineer, plan):
    made = engineer.post("/api/maintenance/", plan, format="json")
    path = f"/api/maintenance/{made.data['id']}/"
    changed = engineer.patch(path, {"duration_seconds": 7_200}, format="json")
    upcoming = engineer.get("/api/maintenance/upcoming").data
    cancelled = engineer.post(f"{path}cancel/")

    assert (made.status_code, changed.status_code) == (201, 200), made.data
    assert made.data["services"] == plan["services"]
    assert changed.data["duration_seconds"] == 7_200
    assert [(time["title"], time["services"]) for time in upcoming] == [
        ("New disks", plan["services"])
    ]
    assert cancelled.data["cancelled_at"] is not None
    assert engineer.get("/api/maintenance/upcoming").data == []
    assert engineer.delete(path).status_code == 204


def test_the_list_is_filtered_by_service(engineer, plan, make_service):
    engineer.post("/api/maintenance/", plan, format="json")
    other = make_service().pk

    def count(service):
        return len(engineer.get(f"/api/maintenance/?service={service}").data["results"])

    assert (count(plan["services"][0]), count(other)) == (1, 0)


def test_a_preview_tells_the_next_times_and_saves_nothing(engineer, plan):
    answer = engineer.post("/api/maintenance/preview/", {**plan, "repeat": "weekly"}, format="json")

    assert (answer.status_code, len(answer.data)) == (200, 10)
    assert MaintenanceWindow.objects.count() == 0


def test_what_cannot_be_is_refused_by_its_field(engineer, plan):
    answer = engineer.post("/api/maintenance/", {**plan, "time_zone": "Mars"}, format="json")

    assert (answer.status_code, list(answer.data["errors"])) == (400, ["time_zone"])
    assert MaintenanceOccurrence.objects.count() == 0


def test_an_auditor_may_look_only(api, make_user, plan):
    api.force_authenticate(make_user(role="auditor"))

    assert api.get("/api/maintenance/").status_code == 200
    assert api.post("/api/maintenance/", plan, format="json").status_code == 403
    assert MaintenanceWindow.objects.count() == 0


@pytest.fixture
def form(make_service):
    begins = timezone.now() + timedelta(days=1)
    return {
        "title": "Patch day",
        "services": [make_service().pk],
        "description": "",
        "is_public": "on",
        "repeat": "weekly",
        "starts_at": f"{begins:%Y-%m-%dT%H:%M:%S}",
        "duration_minutes": 90,
        "time_zone": "Europe/Berlin",
        "every": 1,
        "on_weekdays": [1, 3],
        "on_month_days": "",
        "cron": "",
        "reason": "",
    }


def test_the_form_shows_the_next_times_before_it_saves(console, make_user, form):
    client = console(make_user(role="engineer"))
    page = "/admin/reliability/maintenancewindow/add/"

    shown = client.post(page, {**form, "_preview": "1"})
    content = shown.content.decode()

    assert (shown.status_code, MaintenanceWindow.objects.count()) == (200, 0)
    assert "The next times" in content
    assert content.count("<li><time datetime") == 10
    assert 'value="Patch day"' in content
    assert "Nothing is saved yet." in content


def test_the_form_declares_and_changes(console, make_user, form):
    client = console(make_user(role="engineer"))

    added = client.post("/admin/reliability/maintenancewindow/add/", form)
    window = MaintenanceWindow.objects.get()
    path = f"/admin/reliability/maintenancewindow/{window.pk}/change/"
    opened = client.get(path).content.decode()
    changed = client.post(path, {**form, "duration_minutes": 30})

    assert (added.status_code, changed.status_code) == (302, 302)
    assert (window.weekdays, window.duration_seconds) == ([1, 3], 5_400)
    assert list(window.services.values_list("pk", flat=True)) == form["services"]
    assert 'name="duration_minutes" value="90"' in opened
    window.refresh_from_db()
    assert window.duration_seconds == 1_800
    assert window.occurrences.count() in {17, 18}


def test_a_mistake_stands_beside_its_field(console, make_user, form):
    client = console(make_user(role="engineer"))

    answer = client.post(
        "/admin/reliability/maintenancewindow/add/", {**form, "on_month_days": "first"}
    )

    assert b"Give numbers with commas between them" in answer.content
    assert MaintenanceWindow.objects.count() == 0


def test_the_calendar_shows_what_comes_by_day(console, make_user, form):
    client = console(make_user(role="engineer"))
    client.post("/admin/reliability/maintenancewindow/add/", form)

    client.get("/admin/reliability/maintenancewindow/")  # shows what saving had to say
    content = client.get("/admin/reliability/maintenancewindow/upcoming/").content.decode()

    assert content.count(">Patch day</a>") == MaintenanceOccurrence.objects.count()
    assert content.count("<h2") >= 16


def test_cancelling_asks_first(console, make_user, form):
    client = console(make_user(role="engineer"))
    client.post("/admin/reliability/maintenancewindow/add/", form)
    window = MaintenanceWindow.objects.get()
    act = {"action": "cancel", "_selected_action": [window.pk]}

    asked = client.post("/admin/reliability/maintenancewindow/", act)
    window.refresh_from_db()
    assert (asked.status_code, window.cancelled_at) == (200, None)
    client.post("/admin/reliability/maintenancewindow/", {**act, "confirmed": "yes"})

    window.refresh_from_db()
    assert window.cancelled_at is not None
    assert window.occurrences.count() == 0


def test_the_page_of_a_maintenance_cancels_it_after_asking(console, make_user, form):
    client = console(make_user(role="engineer"))
    client.post("/admin/reliability/maintenancewindow/add/", form)
    window = MaintenanceWindow.objects.get()
    page = f"/admin/reliability/maintenancewindow/{window.pk}"

    opened = client.get(f"{page}/change/").content.decode()
    asked = client.get(f"{page}/cancel/")
    window.refresh_from_db()
    assert f'href="{page}/cancel/"' in opened
    assert ">Back</a>" in opened
    assert (asked.status_code, window.cancelled_at) == (200, None)
    done = client.post(f"{page}/cancel/")

    window.refresh_from_db()
    assert (done.status_code, window.occurrences.count()) == (302, 0)
    assert window.cancelled_at is not None
    assert f"{page}/cancel/" not in client.get(f"{page}/change/").content.decode()
    assert client.post(f"{page}/cancel/").status_code == 403


def test_who_may_not_change_a_maintenance_cannot_cancel_it(console, make_user, form):
    console(make_user(role="engineer")).post("/admin/reliability/maintenancewindow/add/", form)
    window = MaintenanceWindow.objects.get()
    client = console(make_user(role="auditor"))

    answers = [
        ask(f"/admin/reliability/maintenancewindow/{window.pk}/cancel/")
        for ask in (client.get, client.post)
    ]

    window.refresh_from_db()
    assert [answer.status_code for answer in answers] == [403, 403]
    assert window.cancelled_at is None
