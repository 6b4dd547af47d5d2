"""What people may choose: addresses of their own, hours as they mean them, entries of their own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from core.actors import SYSTEM
from core.errors import TooManyError
from notifications.models import Contact, OnCallOverride, Preference
from notifications.selectors import people
from notifications.services import channels, oncall, preferences, testing
from tests.notifications.escalations import people_mail, person

pytestmark = pytest.mark.django_db
BASE = "/api/notifications"
HOOK = {"url": "https://hooks.slack.com/services/T000/B000/XXXX"}
BOT = {"token": "xoxb-1-abcdefghijkl", "channel": "C0123456789"}


@pytest.fixture
def ada(make_user):
    return person(make_user, "ada", role="engineer")


@pytest.fixture
def asked(api, ada):
    api.force_authenticate(ada)
    return api


def slack(config):
    return channels.create(actor=SYSTEM, kind="slack", name="Slack", config=config).channel


def enter(api, channel, address="U0123456789"):
    path = f"{BASE}/contacts/{channel.pk}"
    return api.put(path, {"address": address}, format="json")


def test_a_webhook_of_slack_takes_no_person(ada, asked, console):
    assert enter(asked, slack(HOOK)).status_code == 404
    assert not Contact.objects.exists()
    assert "Slack" not in console(ada).get("/account/notifications/").text


def test_nor_when_a_bot_becomes_a_webhook_later(ada, asked):
    channel = slack(BOT)
    assert enter(asked, channel).status_code == 200
    assert [t.recipient for t in people.targets_of([ada.pk], "critical")] == ["U0123456789"]
    channels.update(actor=SYSTEM, channel_id=channel.pk, config={**HOOK})
    assert people.targets_of([ada.pk], "critical") == []


def test_an_address_belongs_to_one_person(asked, make_user):
    channel = slack(BOT)
    bob = person(make_user, "bob")
    Contact.objects.create(user=bob, channel=channel, address="U0123456789")
    answer = enter(asked, channel)
    assert answer.status_code == 400
    assert answer.json()["errors"] == {
        "address": ["Somebody else is reached by this address; enter one of your own."]
    }
    assert not Contact.objects.exclude(user=bob).exists()


def test_who_may_not_see_alerts_sees_and_takes_no_channel(ada, asked, console):
    channel = slack(BOT)
    people_mail()
    ada.groups.clear()
    assert enter(asked, channel).status_code == 404
    assert not Contact.objects.exists()
    page = console(ada).get("/account/notifications/").text
    assert ("Slack" in page, "E-mail to people" in page) == (False, False)


@pytest.mark.parametrize("given", ["10:00:00+05:00", "10:00Z", "10:00-01:00"])
def test_an_offset_of_a_time_is_not_swallowed(asked, given):
    answer = asked.patch(
        f"{BASE}/preferences", {"quiet_from": given, "quiet_until": "11:00"}, format="json"
    )
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["quiet_from"]
    assert not Preference.objects.exists()


@pytest.mark.parametrize("zone", ["localtime", "Factory", "posixrules"])
def test_a_zone_means_the_same_everywhere(asked, zone):
    answer = asked.patch(f"{BASE}/preferences", {"time_zone": zone}, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["time_zone"])
    assert not Preference.objects.exists()


def test_the_missing_end_of_quiet_hours_is_asked_for_at_its_field(ada, console):
    given = {"min_severity": "info", "time_zone": "UTC", "quiet_from": "22:00", "quiet_until": ""}
    page = console(ada).post("/account/notifications/", given)
    assert page.status_code == 200
    assert page.context["form"].errors == {"quiet_until": ["Say also until when."]}
    assert "preference_quiet" not in page.text
    assert 'value="22:00"' in page.text
    assert not Preference.objects.exists()


@pytest.fixture
def schedule():
    return oncall.create(actor=SYSTEM, name="Duty", slots=[])


def test_nobody_ends_an_entry_of_somebody_else(ada, asked, console, schedule):
    now = timezone.now()
    entry = oncall.stand_in(
        actor=SYSTEM,
        schedule_id=schedule.pk,
        user_id=ada.pk,
        starts_at=now - timedelta(days=1),
        ends_at=now + timedelta(hours=1),
    )
    assert entry.starts_at >= now
    path = f"{BASE}/on-call/{schedule.pk}/overrides/{entry.pk}/"
    assert asked.delete(path).status_code == 403
    page = f"/admin/notifications/oncallschedule/{schedule.pk}"
    browser = console(ada)
    assert browser.post(f"{page}/overrides/{entry.pk}/end/").status_code == 403
    assert f"overrides/{entry.pk}/end/" not in browser.get(f"{page}/change/").text
    entry.refresh_from_db()
    assert entry.ends_at > timezone.now()

    given = {"user": str(ada.pk), "starts_at": now, "ends_at": now + timedelta(hours=2)}
    own = asked.post(f"{BASE}/on-call/{schedule.pk}/overrides/", given, format="json").json()
    assert f"overrides/{own['id']}/end/" in browser.get(f"{page}/change/").text
    path = f"{BASE}/on-call/{schedule.pk}/overrides/{own['id']}/"
    assert asked.delete(path).status_code == 204
    assert OnCallOverride.objects.filter(ends_at__gt=timezone.now()).count() == 1


@pytest.mark.parametrize("year", ["9999", "0001"])
def test_moments_beyond_the_calendar_are_refused(asked, schedule, year):
    span = f"start={year}-01-01T00:00:00Z&end={year}-01-01T10:00:00Z"
    answer = asked.get(f"{BASE}/on-call/{schedule.pk}/who/?{span}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["start"])


def test_nobody_sends_tests_on_and_on(ada, monkeypatch):
    people_mail()
    sent = []
    monkeypatch.setattr(testing, "send_test", lambda **given: sent.append(given) or [])
    for _ in range(preferences.TESTS_A_MINUTE):
        preferences.send_test(actor=SYSTEM, user_id=ada.pk)
    with pytest.raises(TooManyError, match="send another one in"):
        preferences.send_test(actor=SYSTEM, user_id=ada.pk)
    assert len(sent) == preferences.TESTS_A_MINUTE
