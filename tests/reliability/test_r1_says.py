"""What is shown of a check ages: nobody is told "up" because nobody looked (R1)."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from reliability.models import Check, CheckState, Incident

pytestmark = pytest.mark.django_db

# 1.5 intervals of 60 s and the timeout of 10 s.
VALIDITY = timedelta(seconds=100)


@pytest.fixture
def seen(make_check, see):
    """Return a function that adds a check whose last result is so many seconds old."""

    def make(*outcomes, age, **fields):
        check = make_check(interval_seconds=60, timeout_seconds=10, **fields)
        see(check, *outcomes)
        last_at = timezone.now() - timedelta(seconds=age)
        since = last_at - timedelta(hours=1)
        CheckState.objects.filter(pk=check.pk).update(last_at=last_at, since=since)
        return Check.objects.get(pk=check.pk)

    return make


@pytest.mark.parametrize("outcomes", [(True,), (False,), (False, False), (False, False, True)])
def test_a_valid_result_says_what_was_found(seen, outcomes):
    check = seen(*outcomes, age=90)

    assert check.says.state == check.state.state != "unknown"
    assert check.says.since == check.state.since


@pytest.mark.parametrize("outcomes", [(True,), (False,), (False, False), (False, False, True)])
def test_an_old_result_says_unknown_since_it_expired(seen, outcomes):
    check = seen(*outcomes, age=101)

    assert (check.says.state, check.says.since) == ("unknown", check.state.last_at + VALIDITY)
    assert check.state.state != "unknown"


def test_a_check_without_result_says_unknown_since_it_was_made(make_check):
    check = make_check()

    assert (check.says.state, check.says.since) == ("unknown", check.state.since)


def test_a_state_without_result_is_not_believed(make_check):
    check = make_check()
    CheckState.objects.update(state="up")

    assert Check.objects.get(pk=check.pk).says.state == "unknown"


def test_a_longer_interval_keeps_a_result_valid_for_longer(seen):
    check = seen(True, age=101)
    Check.objects.update(interval_seconds=120)

    check.refresh_from_db()
    assert check.says.state == "up"


def test_the_api_says_unknown_and_what_was_found_last(seen, api, make_user):
    check = seen(True, age=500)
    api.force_authenticate(make_user(role="engineer"))

    (uptime,) = api.get("/api/ops/uptime/").data["results"]
    one = api.get(f"/api/checks/{check.pk}/").data
    service = api.get(f"/api/services/{check.service_id}/").data

    since = (check.state.last_at + VALIDITY).isoformat().replace("+00:00", "Z")
    for told in (uptime["status"], one["status"]):
        assert (told["state"], told["since"]) == ("unknown", since)
        assert (told["last_code"], told["last_ms"]) == (200, 12.5)
    assert (service["state"], service["checks"][0]["state"]) == ("unknown", "unknown")


def test_an_old_down_hides_no_present_trouble_of_the_service(seen, api, make_user):
    old = seen(False, False, age=500, name="old")
    seen(False, age=10, name="present", service=old.service)
    api.force_authenticate(make_user(role="engineer"))

    assert api.get(f"/api/services/{old.service_id}/").data["state"] == "suspect"
    assert Incident.objects.get().state == "triggered"


@pytest.mark.parametrize(("age", "shown"), [(10, "Up"), (500, "Unknown")])
def test_the_console_shows_the_same(seen, console, make_user, age, shown):
    check = seen(True, age=age)
    client = console(make_user(role="admin"))

    for page in ("check/", "service/", f"check/{check.pk}/change/"):
        content = client.get(f"/admin/reliability/{page}").content.decode()
        assert f'badge-{"ok" if shown == "Up" else "unknown"}">{shown}<' in content


def test_the_console_filters_by_what_was_found_and_says_so(seen, console, make_user):
    seen(True, age=500)
    client = console(make_user(role="admin"))

    page = client.get("/admin/reliability/check/?state__state__exact=up").content.decode()

    assert "Service 1" in page
    assert "The filter by state compares what was found last" in page


def test_the_command_line_says_since_when(seen, capsys):
    check = seen(True, age=500)

    call_command("services", "list")

    first, second = capsys.readouterr().out.splitlines()
    since = check.state.last_at + VALIDITY
    assert first.split()[0] == second.split()[0] == "unknown"
    assert second.endswith(f"(since {since:%Y-%m-%d %H:%M:%S} UTC)")
