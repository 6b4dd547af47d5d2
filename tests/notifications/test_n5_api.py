"""The live feed by plain requests."""

import pytest

from accounts.roles import ROLES
from notifications.models import Feed, FeedEntry
from notifications.services import live

pytestmark = pytest.mark.django_db

URL = "/api/notifications/feed"
ALERTS = "topic:alerts"


def publish(count=1, audience=ALERTS):
    for number in range(count):
        live.publish(audience, "alert", {"n": number})


@pytest.fixture
def operator(make_user, api):
    user = make_user(role="operator")
    api.force_authenticate(user)
    return user


def test_without_an_audience_it_tells_where_each_one_is(api, operator):
    publish(2)
    live.mark_read(user_id=operator.pk, audience=ALERTS, seq=1)

    assert api.get(URL).json() == {
        "audiences": {
            "topic:alerts": {"seq": 2, "read": 1},
            "topic:incidents": {"seq": 0, "read": 0},
            "topic:services": {"seq": 0, "read": 0},
            f"user:{operator.pk}": {"seq": 0, "read": 0},
        }
    }


def test_entries_come_as_the_socket_sends_them(api, operator):
    publish(3)

    told = api.get(URL, {"audience": ALERTS, "after": 1}).json()

    at = FeedEntry.objects.get(seq=2).created_at.isoformat(timespec="milliseconds")
    assert told["entries"][0] == {"seq": 2, "kind": "alert", "data": {"n": 1}, "at": at}
    assert [entry["seq"] for entry in told["entries"]] == [2, 3]
    assert (told["audience"], told["seq"], told["resync"]) == (ALERTS, 3, False)


def test_without_a_number_nothing_is_new(api, operator):
    publish()
    told = api.get(URL, {"audience": ALERTS}).json()
    assert (told["seq"], told["resync"], told["entries"]) == (1, False, [])


@pytest.mark.parametrize("after", [9, 0])
def test_a_number_that_cannot_be_caught_up_begins_anew(api, operator, after):
    publish(3)
    FeedEntry.objects.filter(seq=1).delete()

    told = api.get(URL, {"audience": ALERTS, "after": after}).json()

    assert (told["seq"], told["resync"], told["entries"]) == (3, True, [])


def test_more_than_a_thousand_begin_anew_and_five_hundred_come_at_once(api, operator):
    publish()
    FeedEntry.objects.bulk_create(
        FeedEntry(audience=ALERTS, seq=seq, kind="alert") for seq in range(2, 1002)
    )

    Feed.objects.filter(audience=ALERTS).update(last_seq=1001)

    assert api.get(URL, {"audience": ALERTS, "after": 0}).json()["resync"]
    told = api.get(URL, {"audience": ALERTS, "after": 1}).json()
    assert [entry["seq"] for entry in told["entries"]] == list(range(2, 502))


@pytest.mark.parametrize("role", sorted(ROLES))
def test_each_role_gets_its_audiences(api, make_user, role):
    user = make_user(role=role)
    api.force_authenticate(user)
    needs = {
        "topic:alerts": "notifications.view_notification",
        "topic:incidents": "reliability.view_incident",
        "topic:services": "reliability.view_service",
    }

    allowed = {name for name, needed in needs.items() if needed in ROLES[role]}

    assert set(api.get(URL).json()["audiences"]) == allowed | {f"user:{user.pk}"}
    for name in needs:
        status = api.get(URL, {"audience": name, "after": 0}).status_code
        assert status == (200 if name in allowed else 403)


def test_a_stranger_gets_nothing(api):
    assert api.get(URL).status_code == 401


def test_the_feed_of_another_person_is_refused(api, operator, make_user):
    other = make_user()
    answer = api.get(URL, {"audience": f"user:{other.pk}", "after": 0})
    assert answer.status_code == 403


@pytest.mark.parametrize("after", ["-1", "x", str(2**63)])
def test_other_numbers_are_refused(api, operator, after):
    assert api.get(URL, {"audience": ALERTS, "after": after}).status_code == 400
