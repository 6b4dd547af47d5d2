"""Routes, silences and threads by API."""

from datetime import timedelta

import pytest
from django.utils import timezone

from notifications.models import Event, Group, Notification, Route, Silence
from tests.notifications.threads import make_route, tell

pytestmark = pytest.mark.django_db

ROUTES = "/api/notifications/routes/"
SILENCES = "/api/notifications/silences/"
GROUPS = "/api/notifications/groups/"
SHOP = [{"field": "service", "op": "=", "values": ["shop"]}]


@pytest.fixture
def as_role(api, make_user):
    def sign_in(role: str):
        api.force_authenticate(make_user(role=role))
        return api

    return sign_in


def test_route_is_added_changed_moved_and_deleted(as_role, make_webhook):
    channel = make_webhook()
    client = as_role("admin")
    make_route(channel, name="First")

    given = {"name": "Shop", "matchers": SHOP, "channels": [str(channel.pk)], "go_on": True}
    made = client.post(ROUTES, given, format="json")
    assert made.status_code == 201, made.content
    row = made.json()
    assert (row["channels"], row["chain"], row["position"]) == ([str(channel.pk)], None, 20)

    url = f"{ROUTES}{row['id']}/"
    changed = client.patch(url, {"group_by": ["service", "label.region"]}, format="json").json()
    assert (changed["group_by"], changed["go_on"]) == (["service", "label.region"], True)

    moved = client.post(f"{url}move/", {"up": True}, format="json").json()
    assert [one["name"] for one in moved][:2] == ["Shop", "First"]
    assert client.delete(url).status_code == 204
    assert [one["name"] for one in client.get(ROUTES).json()] == ["First"]


def test_wrong_route_says_what_is_wrong(as_role):
    client = as_role("admin")
    given = {"name": "x", "matchers": [{"field": "color", "op": "=", "values": ["red"]}]}
    answer = client.post(ROUTES, given, format="json")

    assert answer.status_code == 400
    assert answer.json()["errors"]["matchers"] == [
        "Line 1: 'color' is no field; use kind, severity, status, service or label.<name>."
    ]
    assert Route.objects.count() == 0


def test_operator_reads_routes_and_changes_none(as_role, make_webhook):
    route = make_route(make_webhook())
    client = as_role("operator")

    assert client.get(f"{ROUTES}{route.pk}/").status_code == 200
    assert client.delete(f"{ROUTES}{route.pk}/").status_code == 403
    assert client.post(f"{ROUTES}{route.pk}/move/", {"up": True}).status_code == 403
    assert Route.objects.filter(pk=route.pk).exists()


def test_trying_tells_what_would_happen(as_role, make_mail_channel):
    make_route(make_mail_channel("ada@example.com", name="mail"), group_wait_seconds=30)
    client = as_role("operator")
    alert = {"severity": "warning", "service": "shop", "at": "2026-05-01T12:00:00Z"}

    found = client.post(f"{ROUTES}try/", alert, format="json").json()

    assert found["silence"] is None
    assert [(one["route"], one["is_taken"]) for one in found["tried"]] == [
        ("Shop", True),
        ("Everything else", False),
    ]
    (told,) = found["told"]
    assert (told["first_at"], told["shared"]) == ("2026-05-01T12:00:30Z", {"service": "shop"})
    (one,) = told["reached"]
    assert (one["channel"], one["recipient"] != "ada@example.com") == ("mail", True)
    assert Event.objects.count() == 0


def test_trying_takes_an_event_that_was_raised(as_role, make_webhook):
    make_route(make_webhook())
    tell(1)
    client = as_role("operator")

    event = Event.objects.get()
    found = client.post(f"{ROUTES}try/", {"event": event.pk}, format="json").json()
    assert found["told"][0]["route"] == "Shop"
    gone = client.post(f"{ROUTES}try/", {"event": event.pk + 1}, format="json")
    assert gone.status_code == 404


def test_silence_is_added_replaced_and_ended(as_role):
    client = as_role("operator")
    ends_at = timezone.now() + timedelta(hours=1)
    given = {"matchers": SHOP, "ends_at": ends_at.isoformat(), "comment": "Moving."}

    first = client.post(SILENCES, given, format="json").json()
    second = client.post(
        f"{SILENCES}{first['id']}/replace/", {**given, "comment": "Still."}, format="json"
    ).json()
    assert (second["replaces"], second["comment"]) == (first["id"], "Still.")
    assert [one["id"] for one in client.get(f"{SILENCES}?active=true").json()["results"]] == [
        second["id"]
    ]

    ended = client.post(f"{SILENCES}{second['id']}/end/").json()
    assert ended["ended_at"] is not None
    assert client.post(f"{SILENCES}{second['id']}/end/").status_code == 409
    assert client.get(f"{SILENCES}?active=true").json()["results"] == []


def test_silence_of_everything_is_confirmed(as_role):
    client = as_role("operator")
    ends_at = timezone.now() + timedelta(hours=1)
    given = {"matchers": [], "ends_at": ends_at.isoformat(), "comment": "Moving."}

    refused = client.post(SILENCES, given, format="json")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["everything"])
    assert Silence.objects.count() == 0
    made = client.post(SILENCES, {**given, "everything": True}, format="json")
    assert made.status_code == 201


def test_manager_silences_nothing(as_role):
    ends_at = timezone.now() + timedelta(hours=1)
    given = {"matchers": SHOP, "ends_at": ends_at.isoformat(), "comment": "Moving."}

    assert as_role("manager").post(SILENCES, given, format="json").status_code == 403
    assert Silence.objects.count() == 0


def test_thread_is_shown_with_its_alerts_and_acknowledged(as_role, make_webhook):
    make_route(make_webhook())
    tell(1)
    tell(2)
    client = as_role("operator")

    (row,) = client.get(f"{GROUPS}?open=true&severity=critical").json()["results"]
    assert (row["is_open"], row["common"], row["last_seq"]) == (True, {"service": "shop"}, 2)
    detail = client.post(f"{GROUPS}{row['id']}/acknowledge/").json()

    assert [one["dedup_key"] for one in detail["members"]] == ["check:2", "check:1"]
    assert detail["acked_at"] is not None
    assert client.post(f"{GROUPS}{row['id']}/acknowledge/").status_code == 409
    assert Notification.objects.filter(reason="acknowledged").count() == 1


def test_manager_acknowledges_nothing(as_role, make_webhook):
    make_webhook()
    tell(1)
    group = Group.objects.get()
    client = as_role("manager")

    assert client.get(f"{GROUPS}{group.pk}/").status_code == 200
    assert client.post(f"{GROUPS}{group.pk}/acknowledge/").status_code == 403
    assert client.get(f"{GROUPS}?open=false").json()["results"] == []
    group.refresh_from_db()
    assert group.acked_at is None
