"""The notification centre by plain requests, and reading a feed without a socket."""

import pytest
from django.conf import settings as django_settings

from core.crypto import keyed_digest
from notifications.engine import places
from notifications.engine.audiences import of_user
from notifications.models import FeedEntry, ReadCursor
from notifications.services import live

pytestmark = pytest.mark.django_db

INBOX = "/api/notifications/inbox"
READ = "/api/notifications/feed/read"
ALERTS = "topic:alerts"
KEY = "a-dashboard-key-of-forty-characters-long"


def alert(title, severity="critical"):
    live.publish(ALERTS, "alert", {"title": title, "severity": severity, "status": "firing"})


@pytest.fixture
def operator(make_user, api):
    user = make_user(role="operator")
    api.force_authenticate(user)
    return user


def test_entries_come_newest_first_with_what_is_new(api, operator):
    alert("First")
    live.publish(of_user(operator.pk), "message", {"title": "Yours", "severity": "warning"})
    live.mark_read(user_id=operator.pk, audience=ALERTS, seq=1)

    answer = api.get(INBOX)

    at = FeedEntry.objects.get(kind="message").created_at.isoformat(timespec="milliseconds")
    told = answer.json()
    assert (told["unread"], told["older"], told["newer"]) == (1, None, None)
    assert told["entries"][0] == {
        "audience": of_user(operator.pk),
        "seq": 1,
        "kind": "message",
        "severity": "warning",
        "data": {"title": "Yours", "severity": "warning"},
        "at": at,
        "unread": True,
    }
    assert [entry["unread"] for entry in told["entries"]] == [True, False]
    assert answer["Cache-Control"] == "no-store"


def test_pages_follow_one_another(api, operator):
    for number in range(5):
        alert(f"Alert {number}")

    first = api.get(INBOX, {"limit": 2}).json()
    second = api.get(INBOX, {"limit": 2, "before": first["older"]}).json()
    last = api.get(INBOX, {"limit": 2, "before": second["older"]}).json()
    back = api.get(INBOX, {"limit": 2, "after": second["newer"]}).json()

    assert first["older"] == "alerts-4.me-1"
    seqs = [[entry["seq"] for entry in page["entries"]] for page in (first, second, last, back)]
    assert seqs == [[5, 4], [3, 2], [1], [5, 4]]
    assert (last["older"], first["newer"], back["newer"]) == (None, None, None)


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({"severity": "info"}, ["Second"]),
        ({"kind": "alert"}, ["Second", "First"]),
        ({"kind": "message"}, []),
        ({"unread": "true"}, ["Second"]),
    ],
)
def test_filters(api, operator, query, titles):
    alert("First")
    alert("Second", severity="info")
    live.mark_read(user_id=operator.pk, audience=ALERTS, seq=1)

    told = api.get(INBOX, query).json()

    assert [entry["data"]["title"] for entry in told["entries"]] == titles
    assert told["unread"] == 1


@pytest.mark.parametrize(
    "query",
    [
        {"kind": "service.changed"},
        {"severity": "enormous"},
        {"limit": 0},
        {"limit": 51},
        {"before": "x"},
        {"after": "alerts-1e3"},
        {"before": ".".join(["alerts-1"] * 11)},
    ],
)
def test_other_questions_are_refused(api, operator, query):
    assert api.get(INBOX, query).status_code == 400


def test_a_script_reads_alerts_and_marks_nothing(client, settings):
    digest = keyed_digest(django_settings.DASHBOARD_PEPPER, KEY)
    settings.DASHBOARD_KEYS = ((digest, "operator"),)
    alert("Shop is down")
    headers = {"X-Dash-Key": KEY}

    told = client.get(INBOX, headers=headers).json()

    assert [entry["data"]["title"] for entry in told["entries"]] == ["Shop is down"]
    assert told["unread"] == 0
    body = {"audience": ALERTS, "seq": 1}
    answer = client.post(READ, body, content_type="application/json", headers=headers)
    assert answer.status_code == 403
    assert not ReadCursor.objects.exists()


def test_who_may_not_see_alerts_gets_their_own_alone(api, make_user):
    person = make_user(role="user")
    api.force_authenticate(person)
    alert("Shop is down")
    live.publish(of_user(person.pk), "job.finished", {"title": "Done", "url": "/x", "ok": True})

    told = api.get(INBOX).json()

    assert [entry["data"]["title"] for entry in told["entries"]] == ["Done"]


@pytest.mark.parametrize("query", [{}, {"kind": "message"}, {"severity": "critical"}])
def test_messages_of_alerts_are_gone_with_the_right_to_see_alerts(api, make_user, query):
    person = make_user(role="user")
    api.force_authenticate(person)
    said = {"title": "Shop is down", "severity": "critical", "service": "shop"}
    live.publish(of_user(person.pk), "message", said)

    assert api.get(INBOX, query).json()["entries"] == []
    feed = api.get("/api/notifications/feed", {"audience": of_user(person.pk), "after": 0}).json()
    [entry] = feed["entries"]
    assert (entry["seq"], entry["kind"], entry["data"]) == (1, "message", {})


def test_reading_is_remembered_and_goes_forward_only(api, operator):
    for _ in range(3):
        alert("Shop is down")

    told = [api.post(READ, {"audience": ALERTS, "seq": seq}).json()["seq"] for seq in (2, 1, 99)]

    assert told == [2, 2, 3]
    assert ReadCursor.objects.get(user=operator).seq == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"audience": "user:00000000-0000-0000-0000-000000000000", "seq": 1}, 403),
        ({"audience": "topic:nothing", "seq": 1}, 403),
        ({"audience": ALERTS, "seq": -1}, 400),
        ({"audience": ALERTS, "seq": 2**63}, 400),
        ({"audience": "x" * 101, "seq": 1}, 400),
        ({"seq": 1}, 400),
    ],
)
def test_what_is_not_mine_is_not_read(api, operator, body, status):
    alert("Shop is down")

    assert api.post(READ, body).status_code == status
    assert not ReadCursor.objects.exists()


def test_a_role_without_alerts_reads_no_alerts(api, make_user):
    api.force_authenticate(make_user(role="user"))
    alert("Shop is down")

    assert api.post(READ, {"audience": ALERTS, "seq": 1}).status_code == 403
    assert not ReadCursor.objects.exists()


def test_a_place_is_written_and_read_and_names_nobody():
    own = "user:00000000-0000-0000-0000-000000000001"
    place = {ALERTS: 120, own: 7}

    assert places.written(place) == "alerts-120.me-7"
    assert places.read("alerts-120.me-7", own) == place
    assert places.read("", own) is None
    assert places.read("alerts-" + "9" * 19, own) is None
