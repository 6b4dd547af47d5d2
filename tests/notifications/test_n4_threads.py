"""Threads, messages and events in the console: what happened, why, and who takes care."""

import re
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import strip_tags

from audit.models import AuditRecord
from core.actors import SYSTEM
from notifications.models import Event, Group, Notification
from notifications.services import chains, silences
from tests.notifications.conftest import alert_to, raise_alert, route_all
from tests.notifications.threads import make_route, tell

pytestmark = pytest.mark.django_db

THREADS = "/admin/notifications/group/"
QUEUE = "/admin/notifications/notification/"
EVENTS = "/admin/notifications/event/"


@pytest.fixture
def as_role(console, make_user):
    return lambda role: console(make_user(role=role))


def words(answer) -> str:
    """Return the text of a page, each space once."""
    main = answer.content.decode().split('id="content"')[1]
    return re.sub(r"\s+", " ", strip_tags(main.replace("<", " <")))


def page_of(row) -> str:
    return {
        Group: f"{THREADS}{row.pk}/change/",
        Notification: f"{QUEUE}{row.pk}/change/",
        Event: f"{EVENTS}{row.pk}/change/",
    }[type(row)]


def test_a_thread_tells_its_alerts_and_its_story(as_role, make_webhook):
    make_route(make_webhook(name="chat"))
    tell(1)
    tell(2)
    tell(1, "resolved")
    group = Group.objects.get()

    page = words(as_role("manager").get(page_of(group)))

    assert "Firing check 2 is down" in page
    assert "Resolved check 1 is up" in page
    assert "The thread began" in page
    assert "Message: alert" in page
    assert "Message: more alerts" in page
    assert "chat" in page
    assert "nobody takes care yet" in page


def test_acknowledging_is_a_post_with_a_record(as_role, make_webhook):
    make_route(make_webhook())
    tell(1)
    group = Group.objects.get()
    client = as_role("engineer")
    url = f"{THREADS}{group.pk}/acknowledge/"
    assert f'action="{url}"' in client.get(page_of(group)).content.decode()

    assert client.get(url).status_code == 405
    answer = client.post(url)

    assert answer.url == page_of(group)
    group.refresh_from_db()
    assert group.acked_name == "person1"
    assert AuditRecord.objects.filter(action="alert.acknowledged").count() == 1
    page = client.get(page_of(group)).content.decode()
    assert "person1 takes care" in page
    assert url not in page


def test_a_second_acknowledgement_is_refused_in_words(as_role, make_webhook):
    make_route(make_webhook())
    tell(1)
    group = Group.objects.get()
    client = as_role("operator")
    client.post(f"{THREADS}{group.pk}/acknowledge/")
    before = Group.objects.values("acked_at", "acked_name").get()

    again = client.post(f"{THREADS}{group.pk}/acknowledge/")

    assert "has acknowledged it already" in [str(m) for m in get_messages(again.wsgi_request)][-1]
    assert Group.objects.values("acked_at", "acked_name").get() == before


@pytest.mark.parametrize("role", ["manager", "auditor"])
def test_who_may_only_read_takes_no_care(as_role, make_webhook, role):
    make_route(make_webhook())
    tell(1)
    group = Group.objects.get()
    client = as_role(role)

    assert "/acknowledge/" not in client.get(page_of(group)).content.decode()
    assert client.post(f"{THREADS}{group.pk}/acknowledge/").status_code == 403
    act = {"action": "acknowledge", "_selected_action": [str(group.pk)]}
    client.post(THREADS, act)

    group.refresh_from_db()
    assert group.acked_at is None


def test_many_are_acknowledged_at_once(as_role, make_webhook):
    make_route(make_webhook(), group_by=["alert"])
    tell(1)
    tell(2)
    keys = [str(key) for key in Group.objects.values_list("pk", flat=True)]

    as_role("operator").post(THREADS, {"action": "acknowledge", "_selected_action": keys})

    assert Group.objects.filter(acked_at__isnull=False).count() == 2


def test_the_list_shows_what_is_open_and_the_rest_by_tabs(as_role, make_webhook):
    make_route(make_webhook(), group_by=["alert"])
    tell(1)
    tell(2)
    tell(2, "resolved")
    client = as_role("manager")

    def named(query):
        page = client.get(THREADS, query).content.decode()
        return {number for number in (1, 2) if f"check {number} is" in page}

    assert named({}) == {1}
    assert named({"stands": "waiting"}) == {1}
    assert named({"stands": "over"}) == {2}
    assert named({"stands": "all"}) == {1, 2}


def test_the_list_costs_the_same_for_two_rows_and_for_thirty(as_role, make_webhook, settings):
    make_route(make_webhook(), group_by=["alert"])
    client = as_role("manager")
    client.get(THREADS)
    costs = []
    for count in (2, 18):
        for number in range(count):
            raise_alert(dedup_key=f"check:{count}:{number}")
        route_all()
        with CaptureQueriesContext(connection) as queries:
            assert client.get(THREADS, {"stands": "all"}).status_code == 200
        costs.append(len(queries))

    assert costs[0] == costs[1]
    assert Group.objects.count() == 20


def test_a_silenced_thread_says_by_what(as_role, make_webhook):
    make_route(make_webhook())
    silences.create(
        actor=SYSTEM,
        matchers=[{"field": "service", "op": "=", "values": ["shop"]}],
        ends_at=timezone.now() + timedelta(hours=1),
        comment="Load test",
    )
    tell(1)

    page = words(as_role("manager").get(page_of(Group.objects.get())))

    assert "A silence keeps it from people until" in page
    assert "Load test" in page


def test_an_escalation_stands_in_the_story(as_role, make_webhook):
    channel = make_webhook(name="pager")
    chain = chains.create(
        actor=SYSTEM,
        name="Duty",
        repeats=0,
        steps=[
            {
                "wait_seconds": 600,
                "min_severity": "info",
                "channels": [channel.pk],
                "people": [],
                "schedules": [],
            }
        ],
    )
    make_route(channel, chain=chain.pk)
    tell(1)

    page = words(as_role("manager").get(page_of(Group.objects.get())))

    assert "Escalation Duty began" in page
    assert "Its next step comes" in page


def test_an_event_says_which_route_took_it(as_role, make_webhook):
    make_route(make_webhook(name="chat"), name="Shop")
    tell(1)

    page = words(as_role("manager").get(page_of(Event.objects.get())))

    assert "It was handed to the routes that match it." in page
    assert "Route Shop put it into the thread check 1 is down ." in page
    assert "chat" in page


def test_an_event_says_why_nobody_was_told(as_role, make_webhook):
    make_webhook()
    raise_alert(suppressed_by="maintenance: Move of the database")
    route_all()

    page = words(as_role("manager").get(page_of(Event.objects.get())))

    assert "Nobody was told, on purpose." in page
    assert "It was raised as suppressed: maintenance: Move of the database." in page


def test_an_event_without_a_channel_leads_to_the_channels(as_role):
    raise_alert()
    route_all()
    event = Event.objects.get()

    assert "Open channels" in words(as_role("admin").get(page_of(event)))
    assert "Open channels" not in words(as_role("operator").get(page_of(event)))


def test_a_message_reads_as_its_receiver_reads_it(as_role, make_webhook):
    message = alert_to(make_webhook(name="chat"), title="<i>shop</i>", body="HTTP 503\nTwice")
    Notification.objects.filter(pk=message.pk).update(state="dead", last_error="It answered 401.")

    answer = as_role("operator").get(page_of(message))
    page = words(answer)

    assert "[CRITICAL] &lt;i&gt;shop&lt;/i&gt;" in page
    assert "HTTP 503 Twice" in page
    assert "It could not be delivered. Mend the channel, then try it again." in page
    assert "It answered 401." in page
    assert "<i>shop" not in answer.content.decode()


@pytest.mark.parametrize(
    ("state", "act", "becomes"),
    [
        ("dead", "retry", "pending"),
        ("pending", "cancel", "cancelled"),
        ("sent", "resend", "sent"),
        ("dead", "set-aside", "cancelled"),
    ],
)
def test_the_page_of_a_message_asks_then_acts(as_role, make_webhook, state, act, becomes):
    message = alert_to(make_webhook())
    sent_at = timezone.now() if state == "sent" else None
    error = "No." if state == "dead" else ""
    rows = Notification.objects.filter(pk=message.pk)
    rows.update(state=state, sent_at=sent_at, last_error=error)
    client = as_role("operator")
    url = f"{QUEUE}{message.pk}/{act}/"
    assert f'href="{url}"' in client.get(page_of(message)).content.decode()

    assert "data-dialog-body" in client.get(url).content.decode()
    assert rows.get().state == state
    answer = client.post(url)

    assert answer.url == page_of(message)
    assert rows.get().state == becomes
    assert Notification.objects.filter(original=message).count() == (1 if act == "resend" else 0)


@pytest.mark.parametrize("act", ["retry", "resend", "cancel", "set-aside"])
def test_a_reader_finds_no_act_on_the_page_of_a_message(as_role, make_webhook, act):
    message = alert_to(make_webhook())
    before = Notification.objects.values().get()
    client = as_role("auditor")
    url = f"{QUEUE}{message.pk}/{act}/"

    assert url not in client.get(page_of(message)).content.decode()
    assert client.get(url).status_code == 403
    assert client.post(url).status_code == 403

    assert Notification.objects.values().get() == before


def test_tabs_of_the_queue_show_one_state_each(as_role, make_webhook):
    channel = make_webhook()
    dead = alert_to(channel, dedup_key="a", title="lost one")
    alert_to(channel, dedup_key="b", title="waiting one")
    Notification.objects.filter(pk=dead.pk).update(state="dead", last_error="No.")
    client = as_role("operator")

    page = client.get(QUEUE, {"dead": "lost"}).content.decode()

    assert "lost one" in page
    assert "waiting one" not in page
    assert 'aria-current="page">Dead letters <span class="count">1</span>' in page


def test_all_dead_messages_of_a_channel_are_tried_again_in_one_act(
    as_role, make_webhook, django_assert_max_num_queries
):
    broken, other = make_webhook(name="broken"), make_webhook(name="other")
    row = alert_to(broken)
    rest = Notification.objects.get(channel=other)
    copies = [
        Notification(
            **{
                field.attname: getattr(row, field.attname)
                for field in Notification._meta.concrete_fields
                if field.attname not in {"id", "idempotency_key"}
            },
            idempotency_key=f"copy-{number}",
        )
        for number in range(120)
    ]
    Notification.objects.bulk_create(copies)
    Notification.objects.update(state="dead", last_error="No.")
    client = as_role("operator")

    page = f"{QUEUE}?state__exact=dead&channel__id__exact={broken.pk}"
    data = {
        "action": "retry",
        "select_across": "1",
        "_selected_action": [str(row.pk)],
        "confirmed": "yes",
    }
    with django_assert_max_num_queries(60):
        client.post(page, data)

    assert Notification.objects.filter(channel=broken, state="pending").count() == 121
    rest.refresh_from_db()
    assert rest.state == "dead"
    assert AuditRecord.objects.filter(action__startswith="notification").count() == 1


def test_all_messages_of_a_thread_are_one_link_away(as_role, make_webhook):
    make_route(make_webhook(), group_by=["alert"])
    tell(1)
    tell(2)
    first = Group.objects.order_by("pk")[0]
    client = as_role("manager")
    link = f"{QUEUE}?thread={first.pk}"
    assert link in client.get(page_of(first)).content.decode()

    page = client.get(link).content.decode()

    listed = page.split('id="result_list"')[1]
    assert "check 1 is down" in listed
    assert "check 2 is down" not in listed


@pytest.mark.parametrize("thread", ["x", "-1", "9" * 30, "0"])
def test_a_thread_that_is_not_there_is_no_error(as_role, thread):
    assert as_role("manager").get(QUEUE, {"thread": thread}).status_code == 200
