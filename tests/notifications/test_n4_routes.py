"""Routes in the console: their order in words, their form, and the tester."""

import re

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils.html import strip_tags

from audit.models import AuditRecord
from core.actors import SYSTEM
from notifications.models import Event, Notification, Route
from notifications.services import routes
from tests.notifications.conftest import raise_alert
from tests.notifications.threads import make_route

pytestmark = pytest.mark.django_db

LIST = "/admin/notifications/route/"
ADD = "/admin/notifications/route/add/"
TRY = "/admin/notifications/route/try/"


@pytest.fixture
def as_role(console, make_user):
    return lambda role: console(make_user(role=role))


def words(answer) -> str:
    """Return the text of a page, each space once."""
    main = answer.content.decode().split('id="content"')[1]
    return re.sub(r"\s+", " ", strip_tags(main.replace("<", " <")))


def form(channel, **changes):
    """Return a filled form, as a browser without scripts sends it."""
    return {
        "name": "Payments",
        "enabled": "on",
        "matchers-0-field": "service",
        "matchers-0-op": "in",
        "matchers-0-values": "shop, billing",
        "matchers-1-field": "label.team",
        "matchers-1-op": "!=",
        "matchers-1-values": "search, data",
        "matchers-2-field": "",
        "matchers-2-op": "=",
        "matchers-2-values": "",
        "channels": [str(channel.pk)],
        "chain": "",
        "gather": "same",
        "same": "service, label.team",
        "group_wait_seconds": "30",
        "group_interval_seconds": "300",
        "repeat_seconds": "14400",
        **changes,
    }


def test_the_list_tells_each_route_in_words_and_in_order(as_role, make_webhook):
    chat, mail = make_webhook(name="chat"), make_webhook(name="record")
    make_route(chat, name="Shop")
    make_route(
        mail,
        name="Critical",
        matchers=[{"field": "severity", "op": "=", "values": ["critical"]}],
        group_by=["alert"],
        go_on=True,
        repeat_seconds=0,
    )

    page = words(as_role("manager").get(LIST))

    assert page.index("When service is shop. Tell chat.") < page.index("When severity is critical.")
    assert "Tell record. Each alert in a thread of its own" in page
    assert (
        "For every alert that no route above has kept. Tell every channel (chat, record)." in page
    )
    assert page.index("When severity is critical") < page.index("Everything else")


def test_a_route_without_a_working_channel_is_told(as_role, make_webhook):
    channel = make_webhook(name="chat", enabled=False)
    make_route(channel, name="Shop")

    page = words(as_role("manager").get(LIST))

    assert "No channel of it is switched on: nobody would be told." in page


def test_a_new_route_offers_the_usual_lengths(as_role):
    page = as_role("admin").get(ADD).content.decode()

    lengths = re.findall(r'name="(\w+)_seconds" value="([^"]*)"', page)
    assert lengths == [("group_wait", "30 s"), ("group_interval", "5 min"), ("repeat", "4 h")]


def test_a_route_is_moved_by_post_alone(as_role, make_webhook):
    channel = make_webhook()
    first, second = make_route(channel, name="first"), make_route(channel, name="second")
    client = as_role("admin")
    up = reverse("admin:notifications_route_up", args=[second.pk])

    assert client.get(up).status_code == 405
    answer = client.post(up)

    assert answer.url == LIST
    order = Route.objects.filter(is_default=False).order_by("position")
    assert [route.pk for route in order] == [second.pk, first.pk]
    assert AuditRecord.objects.filter(action="route.moved", actor_kind="user").count() == 1


@pytest.mark.parametrize("role", ["operator", "manager", "engineer", "auditor"])
def test_who_may_only_read_gets_no_forms_and_changes_nothing(as_role, make_webhook, role):
    channel = make_webhook()
    first, second = make_route(channel, name="first"), make_route(channel, name="second")
    before = list(Route.objects.order_by("pk").values())
    client = as_role(role)

    page = client.get(LIST).content.decode()
    assert f"/route/{second.pk}/up/" not in page
    assert ADD not in page
    change = reverse("admin:notifications_route_change", args=[first.pk])
    shown = client.get(change)
    assert shown.status_code == 302
    assert shown.url == reverse("admin:notifications_route_page", args=[first.pk])
    assert client.get(shown.url).status_code == 200
    assert client.post(change, form(channel)).status_code == 403
    assert client.post(ADD, form(channel)).status_code == 403
    for way in ("up", "down"):
        url = reverse(f"admin:notifications_route_{way}", args=[second.pk])
        assert client.post(url).status_code == 403
    delete = reverse("admin:notifications_route_delete", args=[first.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403

    assert list(Route.objects.order_by("pk").values()) == before


def test_the_form_adds_a_route_through_the_service(as_role, make_webhook):
    channel = make_webhook()

    answer = as_role("admin").post(ADD, form(channel))

    assert answer.status_code == 302, answer.content.decode()
    route = Route.objects.get(name="Payments")
    assert route.matchers == [
        {"field": "service", "op": "in", "values": ["shop", "billing"]},
        {"field": "label.team", "op": "!=", "values": ["search, data"]},
    ]
    assert list(route.channels.all()) == [channel]
    assert route.group_by == ["service", "label.team"]
    assert (route.group_wait_seconds, route.repeat_seconds) == (30, 14_400)
    assert AuditRecord.objects.get(action="route.created", target_name="Payments")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"matchers-0-field": "colour"}, "Line 1: &#x27;colour&#x27; is no field"),
        ({"matchers-0-op": "=", "matchers-0-values": ""}, "Without conditions"),
        ({"matchers-0-op": "like"}, "is no operator"),
        ({"channels": []}, "Choose at least one channel, or an escalation."),
        ({"same": "", "gather": "same"}, "Name what they have in common, such as service."),
        ({"same": "status"}, "Alerts cannot be gathered by status."),
        ({"name": "taken"}, "this Name already exists."),
        ({"repeat_seconds": "4 weeks"}, "Write a length such as 30 s"),
        ({"repeat_seconds": ""}, "This field is required."),
        ({"group_wait_seconds": "3601"}, "At most 1 h."),
    ],
)
def test_what_cannot_be_is_told_beside_its_field(as_role, make_webhook, changes, told):
    channel = make_webhook()
    make_route(channel, name="taken")
    given = form(channel, **changes)
    if "Without" in told:
        given |= {"matchers-0-field": "", "matchers-1-field": "", "matchers-1-values": ""}

    answer = as_role("admin").post(ADD, given)

    assert answer.status_code == 200
    errors = re.findall(r'<ul class="errorlist".*?</ul>', answer.content.decode(), re.DOTALL)
    assert any(told in error for error in errors), errors
    assert set(Route.objects.values_list("name", flat=True)) == {"taken"}


def test_what_was_typed_stands_in_the_form_again(as_role, make_webhook):
    page = as_role("admin").post(ADD, form(make_webhook(), name="")).content.decode()

    assert 'name="matchers-0-values" value="shop, billing"' in page
    assert 'name="matchers-3-field" value=""' in page  # two empty rows follow


def test_the_default_route_has_neither_conditions_nor_a_place(as_role, make_webhook):
    default = routes.ensure_default()
    channel = make_webhook()
    client = as_role("admin")
    change = reverse("admin:notifications_route_change", args=[default.pk])

    page = client.get(change).content.decode()
    assert "matchers-0-field" not in page
    assert 'name="enabled"' not in page
    delete = reverse("admin:notifications_route_delete", args=[default.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403
    up = client.post(reverse("admin:notifications_route_up", args=[default.pk]))
    assert [str(told) for told in get_messages(up.wsgi_request)] == [
        "The default route comes last."
    ]

    given = form(channel, name="All the rest", gather="alert", same="")
    assert client.post(change, given).status_code == 302
    default.refresh_from_db()
    assert (default.name, default.matchers, default.enabled) == ("All the rest", [], True)
    assert list(default.channels.all()) == [channel]


def test_the_tester_says_which_route_takes_an_alert_and_why_not_the_others(as_role, make_webhook):
    chat = make_webhook(name="chat")
    make_route(chat, name="Shop", group_wait_seconds=30)
    make_route(
        chat, name="Search", matchers=[{"field": "service", "op": "=", "values": ["search"]}]
    )

    asked = {"severity": "warning", "kind": "check.down", "service": "search", "labels": ""}
    page = words(as_role("manager").get(TRY, asked))

    assert "Not this Shop The alert does not meet: service is shop." in page
    assert "Takes it Search It is for alerts of which service is search." in page
    assert "Not this Everything else A route above has ended the search." in page
    assert "Search puts it into the thread of service search." in page
    assert "chat https://hooks.example.com at once" in page


def test_the_tester_changes_nothing(as_role, make_webhook):
    make_route(make_webhook())
    routes.ensure_default()
    event = raise_alert()
    client = as_role("manager")
    before = (Route.objects.count(), AuditRecord.objects.count())

    client.get(TRY, {"event": event.pk})
    client.get(TRY, {"severity": "critical", "service": "shop"})

    assert Notification.objects.count() == 0
    assert Event.objects.get().routed_at is None
    assert (Route.objects.count(), AuditRecord.objects.count()) == before
    assert client.post(TRY, {"severity": "critical"}).status_code == 405


def test_the_tester_masks_addresses(as_role, make_mail_channel):
    make_mail_channel("ada@example.com", name="mail")

    page = as_role("admin").get(TRY, {"severity": "critical"}).content.decode()

    assert "a…@example.com" in page
    assert "ada@example.com" not in page


def test_the_tester_tells_that_nobody_would_be_told(as_role):
    page = words(as_role("manager").get(TRY, {"severity": "critical"}))

    assert "Nobody would be told No route that takes it has a channel that is switched on." in page


def test_the_tester_takes_an_alert_of_the_past(as_role, make_webhook):
    make_route(make_webhook(name="chat"))
    event = raise_alert(service="shop", labels={"team": "payments"})

    page = as_role("manager").get(TRY, {"event": event.pk})

    assert "Takes it Shop" in words(page)
    assert "team=payments" in page.content.decode()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"severity": "fatal"}, "Select a valid choice"),
        ({"severity": "critical", "labels": "team payments"}, "as name=value"),
    ],
)
def test_an_alert_that_cannot_be_is_told(as_role, asked, told):
    answer = as_role("manager").get(TRY, asked)

    assert answer.status_code == 200
    assert told in words(answer)
    assert "Takes it" not in words(answer)


@pytest.mark.parametrize("event", ["0", "999", "x", "-1", "9" * 30])
def test_an_alert_that_is_not_there_is_no_error(as_role, event):
    assert as_role("manager").get(TRY, {"event": event}).status_code == 200


def test_whoever_may_not_see_routes_sees_none(as_role):
    client = as_role("analyst")
    for url in (LIST, TRY, ADD):
        assert client.get(url).status_code == 403


def test_deleting_asks_and_keeps_the_threads(as_role, make_webhook):
    route = routes.create(
        actor=SYSTEM,
        name="Old",
        matchers=[{"field": "service", "op": "=", "values": ["old"]}],
        channels=[make_webhook().pk],
    )
    client = as_role("admin")
    url = reverse("admin:notifications_route_delete", args=[route.pk])
    assert client.get(url).status_code == 200
    assert Route.objects.filter(pk=route.pk).exists()

    client.post(url, {"post": "yes"})

    assert not Route.objects.filter(pk=route.pk).exists()
    assert AuditRecord.objects.filter(action="route.deleted").count() == 1


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("30", 30), ("30 s", 30), ("5min", 300), ("1 h 30 min", 5_400), ("2 d", 172_800), ("0", 0)],
)
def test_a_length_is_written_with_units(as_role, make_webhook, typed, seconds):
    as_role("admin").post(ADD, form(make_webhook(), repeat_seconds=typed))

    assert Route.objects.get(name="Payments").repeat_seconds == seconds


def test_the_form_shows_lengths_with_units(as_role, make_webhook):
    route = make_route(make_webhook(), repeat_seconds=14_400, group_wait_seconds=90)
    change = reverse("admin:notifications_route_change", args=[route.pk])

    page = as_role("admin").get(change).content.decode()

    assert re.search(r'name="repeat_seconds" value="4 h"', page)
    assert re.search(r'name="group_wait_seconds" value="1 min 30 s"', page)
    assert "Only a route that lets the routes below be asked as well may have none." in page
