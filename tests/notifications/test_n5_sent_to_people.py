"""What is sent to a person stands in their own feed, and in nobody else's."""

import pytest

from audit.services.acts import act
from audit.services.records import record
from core.actors import SYSTEM
from notifications.engine.audiences import of_user
from notifications.models import FeedEntry, Group, Preference
from tests.notifications.conftest import raise_alert, route_all
from tests.notifications.escalations import people_mail, person
from tests.notifications.threads import mark_sent

pytestmark = pytest.mark.django_db(transaction=True)

INBOX = "/api/notifications/inbox"


@pytest.fixture
def ada(make_user):
    """Return a person who is told of every alert by e-mail."""
    ada = person(make_user, "ada")
    people_mail()
    with act():
        Preference.objects.create(user=ada, subscribes=True)
        record(actor=SYSTEM, action="preference.updated")
    return ada


def mine(user):
    rows = FeedEntry.objects.filter(audience=of_user(user.pk)).order_by("seq")
    return [(row.kind, row.payload["title"], row.payload["status"]) for row in rows]


def test_an_alert_and_its_end_reach_the_person_they_were_sent_to(ada, api, make_user):
    bob = person(make_user, "bob")
    incident = {"incident": "http://localhost:8000/admin/reliability/incident/1/change/"}
    raise_alert(links=incident)
    route_all()
    mark_sent()
    raise_alert(links=incident, status="resolved", transition_seq=2, title="shop is up")
    route_all()

    assert mine(bob) == []
    assert mine(ada) == [
        ("message", "shop is down", "firing"),
        ("message", "shop is up", "resolved"),
    ]
    api.force_authenticate(ada)
    told = api.get(INBOX, {"kind": "message"}).json()["entries"]
    assert [entry["severity"] for entry in told] == ["critical", "critical"]
    assert told[0]["data"]["url"].endswith("/admin/reliability/incident/1/change/")
    assert told[0]["data"]["group"] == Group.objects.get().pk
    assert [entry["unread"] for entry in told] == [True, True]


def test_everybody_who_may_see_alerts_hears_of_it_once(ada):
    raise_alert()
    route_all()
    route_all()

    assert FeedEntry.objects.filter(audience="topic:alerts").count() == 1
    assert FeedEntry.objects.filter(audience=of_user(ada.pk)).count() == 1
