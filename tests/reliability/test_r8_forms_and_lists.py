"""What forms and lists of the console tell of checks, heartbeats and incidents (R8)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from reliability.admin.contexts.alerts import lasted
from reliability.admin.contexts.objectives import burn
from reliability.models import Alert, Check, Heartbeat
from reliability.services import catalogue

pytestmark = pytest.mark.django_db

ADD = "/admin/reliability/heartbeat/add/"


@pytest.fixture
def asked(make_service):
    return {
        "service": make_service(name="Web shop").pk,
        "name": "nightly",
        "enabled": "on",
        "schedule": "period",
        "period_seconds": 3_600,
        "time_zone": "UTC",
        "grace_seconds": 60,
    }


def test_a_heartbeat_takes_parents_and_tags(console, make_user, make_check, asked):
    client = console(make_user(role="admin"))
    parent = make_check()

    added = client.post(ADD, {**asked, "parents": [parent.pk], "tags": "backup, night"})

    check = Check.objects.get(kind="heartbeat")
    assert added.status_code == 302
    assert (check.tags, list(check.parents.values_list("pk", flat=True))) == (
        ["backup", "night"],
        [parent.pk],
    )
    page = f"/admin/reliability/heartbeat/{check.pk}/change/"
    opened = client.get(page).content.decode()
    assert 'value="backup, night"' in opened
    assert f'<option value="{parent.pk}" selected>{parent}</option>' in opened
    client.post(page, asked)
    check.refresh_from_db()
    assert (check.tags, check.parents.count()) == ([], 0)


def test_a_heartbeat_does_not_depend_on_itself(console, make_user, asked):
    client = console(make_user(role="admin"))
    client.post(ADD, asked)
    check = Check.objects.get(kind="heartbeat")

    answer = client.post(
        f"/admin/reliability/heartbeat/{check.pk}/change/",
        {**asked, "name": "other", "parents": [check.pk]},
    )

    assert b"would depend on itself" in answer.content
    check.refresh_from_db()
    assert (check.name, check.parents.count()) == ("nightly", 0)


def test_the_list_of_checks_tells_the_kind_and_the_rhythm_of_each(
    console, make_user, make_service, make_check, operator
):
    make_check(interval_seconds=45)
    catalogue.create_check(
        actor=operator,
        service_id=make_service().pk,
        kind="heartbeat",
        name="nightly",
        heartbeat={"schedule": "cron", "cron": "30 2 * * *", "time_zone": "Europe/Berlin"},
    )

    content = console(make_user(role="admin")).get("/admin/reliability/check/").content.decode()

    assert "every 45 s" in content
    assert "30 2 * * * (Europe/Berlin)" in content
    assert content.count("every 60 s") == 0
    assert '<td class="field-asks">Heartbeat</td>' in content
    assert Heartbeat.objects.count() == 1


def test_what_lasts_says_for_how_long_and_what_is_over_how_long():
    began = timezone.now() - timedelta(hours=1)
    alert = Alert(starts_at=began, ends_at=began + timedelta(minutes=4))

    assert lasted(alert) == "4 min"
    assert lasted(Alert(starts_at=began)).startswith("for 1 h")


@pytest.mark.parametrize(
    ("rate", "told"), [(200.0, "200\u00d7"), (14.4, "14.4\u00d7"), (0.0, "0"), (None, "-")]
)
def test_rates_are_told_without_idle_digits(rate, told):
    assert burn(rate) == told
