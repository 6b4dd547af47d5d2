"""Escalations, weeks on call and preferences by API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.actors import SYSTEM
from notifications.models import (
    EscalationChain,
    OnCallOverride,
    OnCallSchedule,
    Preference,
)
from notifications.services import channels, oncall
from tests.notifications.escalations import begin, chain, pass_time, person, thread

pytestmark = pytest.mark.django_db
BASE = "/api/notifications"


@pytest.fixture
def admin(make_user, api):
    api.force_authenticate(person(make_user, "root", role="admin"))
    return api


def test_an_escalation_is_added_changed_and_deleted(admin, make_webhook):
    hook = make_webhook(name="hook")
    given = {"name": "Duty", "steps": [{"wait_seconds": 60, "channels": [str(hook.pk)]}]}
    answer = admin.post(f"{BASE}/escalations/", given, format="json")
    assert answer.status_code == 201, answer.data
    made = answer.json()
    assert (made["repeats"], made["words"]) == (
        1,
        ["After 1 min: tell hook.", "Then, after 5 min, all of it again, once."],
    )
    path = f"{BASE}/escalations/{made['id']}/"
    changed = admin.patch(path, {"repeats": 0}, format="json").json()
    assert (changed["repeats"], len(changed["steps"])) == (0, 1)
    assert admin.get(f"{BASE}/escalations/").json()["results"][0]["name"] == "Duty"
    assert admin.delete(path).status_code == 204
    assert not EscalationChain.objects.exists()


def test_what_is_wrong_with_a_step_is_told(admin):
    given = {"name": "Duty", "steps": [{"wait_seconds": 60}]}
    answer = admin.post(f"{BASE}/escalations/", given, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"] == {
        "steps.1": ["Step 1: name whom it tells: a channel, a person or a schedule."]
    }
    assert not EscalationChain.objects.exists()


def test_runs_tell_what_they_did(admin, make_webhook):
    group = thread()
    pass_time(begin(group, chain({"channels": [make_webhook().pk]})))
    [run] = admin.get(f"{BASE}/escalation-runs/?group={group.pk}").json()["results"]
    assert (run["state"], run["chain_name"], run["log"][0]["told"]) == ("active", "Duty", 1)
    assert admin.get(f"{BASE}/escalation-runs/?group={group.pk + 1}").json()["results"] == []


def test_a_schedule_is_added_and_asked(admin, make_user):
    ada = person(make_user, "ada")
    slot = {"weekday": 0, "starts": "08:00", "ends": "20:00", "user": str(ada.pk)}
    given = {"name": "Duty", "time_zone": "UTC", "slots": [slot]}
    answer = admin.post(f"{BASE}/on-call/", given, format="json")
    assert answer.status_code == 201, answer.data
    path = f"{BASE}/on-call/{answer.json()['id']}/"
    asked = f"{path}who/?start=2026-11-16T00:00:00Z&end=2026-11-17T00:00:00Z"
    assert [(part["starts_at"], part["name"]) for part in admin.get(asked).json()] == [
        ("2026-11-16T00:00:00Z", None),
        ("2026-11-16T08:00:00Z", "ada"),
        ("2026-11-16T20:00:00Z", None),
    ]
    too_long = f"{path}who/?start=2026-11-16T00:00:00Z&end=2027-11-17T00:00:00Z"
    assert admin.get(too_long).status_code == 400
    renamed = admin.patch(path, {"name": "Night"}, format="json").json()
    assert (renamed["name"], len(renamed["slots"])) == ("Night", 1)
    assert admin.delete(path).status_code == 204
    assert not OnCallSchedule.objects.exists()


def test_an_operator_stands_in_for_themselves_alone(make_user, api):
    ada, bob = person(make_user, "ada"), person(make_user, "bob")
    schedule = oncall.create(actor=SYSTEM, name="Duty", slots=[])
    api.force_authenticate(ada)
    start = datetime.now(UTC) + timedelta(hours=1)
    given = {"starts_at": start.isoformat(), "ends_at": (start + timedelta(hours=1)).isoformat()}
    path = f"{BASE}/on-call/{schedule.pk}/overrides/"
    refused = api.post(path, {**given, "user": str(bob.pk)}, format="json")
    assert refused.status_code == 403
    assert not OnCallOverride.objects.exists()
    added = api.post(path, {**given, "user": str(ada.pk)}, format="json")
    assert added.status_code == 201, added.data
    [listed] = api.get(path).json()
    assert (listed["user"], listed["author"]) == (str(ada.pk), "ada")
    assert api.delete(f"{path}{listed['id']}/").status_code == 204
    assert not OnCallOverride.objects.exists()
    assert api.delete(f"{path}{listed['id']}/").status_code == 404


def test_people_read_and_change_their_own_preferences(make_user, api):
    ada = person(make_user, "ada")
    api.force_authenticate(ada)
    assert api.get(f"{BASE}/preferences").json()["min_severity"] == "info"
    given = {"min_severity": "warning", "quiet_from": "22:00", "quiet_until": "07:00"}
    changed = api.patch(f"{BASE}/preferences", given, format="json")
    assert (changed.status_code, changed.json()["quiet_from"]) == (200, "22:00:00")
    assert Preference.objects.get().user == ada
    wrong = api.patch(f"{BASE}/preferences", {"quiet_until": None}, format="json")
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["quiet_until"])


def test_people_set_their_own_addresses(make_user, api):
    config = {"server": "https://ntfy.example.com", "topic": "everybody"}
    made = channels.create(actor=SYSTEM, kind="ntfy", name="ntfy", config=config).channel
    api.force_authenticate(person(make_user, "ada"))
    path = f"{BASE}/contacts/{made.pk}"
    answer = api.put(path, {"address": "ada-alerts"}, format="json")
    assert (answer.status_code, answer.json()["address"]) == (200, "ada-alerts")
    [listed] = api.get(f"{BASE}/contacts").json()
    assert (listed["name"], listed["enabled"]) == ("ntfy", True)
    assert api.put(path, {"address": "two words"}, format="json").status_code == 400
    assert api.delete(path).status_code == 204
    assert api.get(f"{BASE}/contacts").json() == []
