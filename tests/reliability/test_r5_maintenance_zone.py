"""Maintenance is typed and shown in the time zone that its form names (R5)."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from core.walltime import WallTimeField, zone_named
from reliability.admin.maintenance_form import MaintenanceForm
from reliability.models import MaintenanceWindow

pytestmark = pytest.mark.django_db

ADD = "/admin/reliability/maintenancewindow/add/"


@pytest.fixture
def form():
    return {
        "title": "Patch day",
        "is_public": "on",
        "repeat": "daily",
        "starts_at": "2099-01-15T22:00:00",
        "until": "2099-07-15T22:00:00",
        "duration_minutes": 60,
        "time_zone": "Europe/Berlin",
        "every": 1,
    }


def test_what_is_typed_is_meant_in_the_zone_and_shown_again_so(form):
    found = MaintenanceForm(form)

    assert found.is_valid(), found.errors
    fields = found.settings()
    assert fields["starts_at"] == datetime(2099, 1, 15, 21, tzinfo=UTC)
    assert fields["until"] == datetime(2099, 7, 15, 20, tzinfo=UTC)
    window = MaintenanceWindow(
        **{name: fields[name] for name in ("starts_at", "until", "time_zone", "duration_seconds")}
    )
    opened = MaintenanceForm(instance=window)
    assert 'value="2099-01-15T22:00:00"' in str(opened["starts_at"])
    assert 'value="2099-07-15T22:00:00"' in str(opened["until"])


def test_what_nobody_changed_stays_to_the_microsecond(form):
    # 02:30 came twice on this day; the second time was stored, with a fraction of a second.
    stored = datetime(2024, 10, 27, 1, 30, 0, 5, tzinfo=UTC)
    window = MaintenanceWindow(
        starts_at=stored, time_zone="Europe/Berlin", duration_seconds=3_600, title="Patch day"
    )

    found = MaintenanceForm({**form, "starts_at": "2024-10-27T02:30:00"}, instance=window)

    assert found.is_valid(), found.errors
    assert found.cleaned_data["starts_at"] == stored


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2024-10-27T02:30:00", datetime(2024, 10, 27, 0, 30, tzinfo=UTC)),
        ("2024-10-27T02:30:00+00:00", datetime(2024, 10, 27, 2, 30, tzinfo=UTC)),
        ("2024-10-27T02:30:00-05:00", datetime(2024, 10, 27, 7, 30, tzinfo=UTC)),
    ],
)
def test_the_first_of_two_hours_is_meant_and_an_offset_is_heeded(typed, meant):
    field = WallTimeField()
    field.zone = zone_named("Europe/Berlin")

    assert field.clean(typed) == meant


def test_a_time_that_the_clocks_leave_out_is_refused(console, make_user, form):
    client = console(make_user(role="engineer"))

    answer = client.post(ADD, {**form, "starts_at": "2099-03-29T02:30:00"})

    assert b"This time does not exist there" in answer.content
    assert b'value="2099-03-29T02:30:00"' in answer.content
    assert MaintenanceWindow.objects.count() == 0


@pytest.mark.parametrize("zone", ["Mars/Crater", "../../etc", "", "\x00"])
def test_what_is_no_zone_is_refused_by_its_own_field(console, make_user, form, zone):
    answer = console(make_user(role="engineer")).post(ADD, {**form, "time_zone": zone})

    assert answer.status_code == 200
    assert "time_zone" in answer.context["adminform"].form.errors
    assert MaintenanceWindow.objects.count() == 0


def test_the_next_times_name_the_zone(console, make_user, form):
    begins = timezone.now().replace(hour=22, minute=0, second=0) + timedelta(days=1)
    asked = {**form, "starts_at": f"{begins:%Y-%m-%dT%H:%M:%S}", "until": "", "_preview": "1"}

    content = console(make_user(role="engineer")).post(ADD, asked).content.decode()

    assert content.count("22:00 to") == 10
    assert content.count(", Europe/Berlin)</span>") == 10
