"""A route that reaches nobody: refused where it can be, and told with its true cause elsewhere."""

import pytest

from core.actors import SYSTEM
from core.errors import InvalidInputError
from notifications.engine.matching import AlertFacts
from notifications.models import Event, Notification, Route
from notifications.selectors.routing import plan
from notifications.services import channels, routes
from opsplatform.console.telling import LOOKS
from tests.notifications.conftest import raise_alert, route_all
from tests.notifications.escalations import people_mail
from tests.notifications.test_n4_routes import ADD, LIST, TRY, form, words
from tests.notifications.threads import make_route

pytestmark = pytest.mark.django_db

FOR_PEOPLE = "The channel E-mail to people is for people alone and reaches nobody else."
SHOP = AlertFacts(kind="reliability.check_down", severity="warning", service="shop", dedup_key="a")


@pytest.fixture
def people(db):
    return people_mail()


@pytest.fixture
def stray(people, make_webhook):
    """Return a route that was for a shared channel before that was made one for people alone."""
    make_webhook(name="chat")
    route = make_route(make_webhook(name="old"))
    route.channels.set([people])
    return route


@pytest.fixture
def as_role(console, make_user):
    return lambda role: console(make_user(role=role))


def test_a_route_takes_no_channel_that_is_for_people_alone(people, make_webhook):
    with pytest.raises(InvalidInputError) as refused:
        make_route(people)
    assert refused.value.errors == {"channels": [FOR_PEOPLE]}
    assert not Route.objects.filter(name="Shop").exists()

    route = make_route(make_webhook(name="chat"))
    with pytest.raises(InvalidInputError):
        routes.update(actor=SYSTEM, route_id=route.pk, channels=[people.pk])
    assert [channel.name for channel in route.channels.all()] == ["chat"]


def test_the_form_does_not_offer_it(as_role, people, make_webhook):
    chat = make_webhook(name="chat")
    client = as_role("admin")

    page = client.get(ADD).content.decode()
    assert str(chat.pk) in page
    assert str(people.pk) not in page
    answer = client.post(ADD, form(people))
    assert answer.status_code == 200
    assert not Route.objects.filter(name="Payments").exists()


def test_the_api_refuses_it(api, make_user, people):
    api.force_authenticate(make_user(role="admin"))
    matchers = [{"field": "service", "op": "=", "values": ["shop"]}]
    given = {"name": "Shop", "matchers": matchers, "channels": [str(people.pk)]}

    answer = api.post("/api/notifications/routes/", given, format="json")

    assert (answer.status_code, FOR_PEOPLE in answer.content.decode()) == (400, True)
    assert not Route.objects.filter(name="Shop").exists()


def test_pages_say_that_it_reaches_nobody(as_role, stray):
    client = as_role("admin")
    why = "Its channels are for people alone and reach nobody else"

    assert f"{why}: nobody would be told." in words(client.get(LIST))
    assert f"{why}: nobody would be told." in words(
        client.get(TRY, {"severity": "warning", "kind": "x", "service": "shop", "labels": ""})
    )
    (told,) = plan(SHOP, at=stray.created_at).told
    assert (list(told.reached), told.trouble) == ([], f"{why}: nobody would be told.")
    look = dict(LOOKS)["notifications.view_route"]
    assert [(thing.text, thing.detail) for thing in look()] == [
        ("Route Shop reaches nobody", f"{why}.")
    ]


def test_the_message_and_the_event_name_the_true_cause(as_role, stray):
    event = raise_alert()

    route_all()

    event.refresh_from_db()
    message = Notification.objects.get()
    assert (message.state, event.routing) == ("dead", Event.Routing.NO_CHANNEL)
    assert message.last_error == (
        "The channels of the route Shop are for people alone and reach nobody else: "
        "nobody could be told."
    )
    page = words(as_role("operator").get(f"/admin/notifications/event/{event.pk}/change/"))
    assert message.last_error in page
    assert "no channel was enabled" not in page


def test_a_route_whose_channel_is_off_says_so(make_webhook):
    make_webhook(name="chat")
    make_route(make_webhook(name="old", enabled=False))
    raise_alert()

    route_all()

    assert Notification.objects.get().last_error == (
        "No channel of the route Shop is switched on: nobody could be told."
    )


def test_a_channel_that_routes_name_is_not_made_one_for_people_alone(make_mail_channel):
    channel = make_mail_channel(name="duty")
    make_route(channel)

    with pytest.raises(InvalidInputError) as refused:
        channels.update(
            actor=SYSTEM,
            channel_id=channel.pk,
            is_for_people=True,
        )

    assert refused.value.errors == {
        "is_for_people": ["Routes name this channel; take it out of them first."]
    }
    channel.refresh_from_db()
    assert not channel.is_for_people
