"""From events to messages: everybody on the default route, or the reason why nobody."""

import pytest
from django.db import OperationalError

from core import leases
from core.leases import LeaseLostError
from notifications.models import Event, Group, GroupMember, Notification
from notifications.services.composing import acknowledge_link
from notifications.services.flushing import NO_CHANNEL
from notifications.services.routing import UNHEARD, route
from tests.notifications.conftest import alert_to, break_seal, raise_alert, route_all

pytestmark = pytest.mark.django_db


def test_every_enabled_channel_gets_a_message(make_webhook, make_mail_channel):
    hook = make_webhook()
    mail = make_mail_channel("ada@example.com", "bob@example.com")
    make_webhook(enabled=False)

    event = raise_alert()

    assert route_all() == 1
    made = Notification.objects.order_by("recipient").values_list(
        "channel", "recipient", "state", "reason"
    )
    assert list(made) == [
        (hook.pk, "", "pending", "first"),
        (mail.pk, "ada@example.com", "pending", "first"),
        (mail.pk, "bob@example.com", "pending", "first"),
    ]
    event.refresh_from_db()
    assert event.routing == Event.Routing.ROUTED
    assert event.routed_at is not None


def test_message_is_a_snapshot_of_the_event(make_webhook):
    event = raise_alert(body="HTTP 500", labels={"region": "eu"})
    make_webhook()
    route_all()

    message = Notification.objects.get()

    thread = Group.objects.get()
    assert message.payload == {
        "version": 1,
        "kind": "check.down",
        "severity": "critical",
        "status": "firing",
        "title": "shop is down",
        "body": "HTTP 500",
        "service": "shop",
        "labels": {"region": "eu"},
        "links": acknowledge_link(thread),
        "dedup_key": "check:1",
        "seq": 1,
        "occurred_at": event.created_at.isoformat(timespec="microseconds"),
        "reason": "first",
        "thread": thread.key.hex,
        "alerts": [],
        "firing": 1,
        "resolved": 0,
        "note": "",
    }
    assert (message.thread_key, message.seq) == (f"group:{thread.pk}", 1)
    assert (message.title, message.group, message.event) == ("shop is down", thread, event)
    assert (message.expires_at - message.created_at).total_seconds() == 86400


@pytest.mark.parametrize(("severity", "priority"), [("critical", 0), ("warning", 10), ("info", 20)])
def test_severity_decides_the_order(make_webhook, severity, priority):
    message = alert_to(make_webhook(), severity=severity)

    assert (message.severity, message.priority) == (severity, priority)


def test_the_end_of_an_alert_says_so(make_webhook):
    channel = make_webhook()
    alert_to(channel)

    assert alert_to(channel, status="resolved", transition_seq=2).reason == "all_resolved"


def test_end_of_what_nobody_heard_of_is_not_told(make_webhook):
    make_webhook()
    event = raise_alert(status="resolved")

    route_all()

    event.refresh_from_db()
    assert event.routing == Event.Routing.SUPPRESSED
    message = Notification.objects.get()
    assert (message.state, message.last_error) == ("suppressed", UNHEARD)
    assert Group.objects.count() == 0


def test_without_channels_the_alert_says_why_nobody_was_told():
    event = raise_alert()

    assert route_all() == 1

    event.refresh_from_db()
    assert event.routing == Event.Routing.NO_CHANNEL
    message = Notification.objects.get()
    assert (message.state, message.last_error, message.channel) == ("dead", NO_CHANNEL, None)


def test_suppressed_alert_is_kept_with_its_reason(make_webhook):
    make_webhook()
    event = raise_alert(suppressed_by="maintenance of shop")

    route_all()

    event.refresh_from_db()
    assert event.routing == Event.Routing.SUPPRESSED
    message = Notification.objects.get()
    assert (message.state, message.last_error) == ("suppressed", "Suppressed: maintenance of shop")


def test_idle_router_writes_nothing(make_webhook, django_assert_num_queries):
    make_webhook()
    held = leases.acquire(name="notifications.route", seconds=60)

    # Unrouted events, threads that are due or to be repeated, held messages that are due.
    with django_assert_num_queries(4) as captured:
        route(held)

    assert all(query["sql"].startswith("SELECT") for query in captured)


def test_overlong_address_of_a_variable_does_not_stop_the_queue(make_mail_channel):
    channel = make_mail_channel()
    channel.config = {"recipients": ["a" * 400 + "@example.com"]}
    channel.save(update_fields=["config"])
    raise_alert()

    assert route_all() == 1
    assert len(Notification.objects.get().recipient) == 320


def test_routing_twice_makes_no_second_message(make_webhook):
    make_webhook()
    raise_alert()
    route_all()

    assert route_all() == 0
    assert Notification.objects.count() == 1


def test_interrupted_routing_is_completed_without_repeats(make_webhook):
    make_webhook()
    raise_alert()
    route_all()
    Event.objects.update(routed_at=None, routing="")

    assert route_all() == 1
    assert Notification.objects.count() == 1


def test_thread_that_was_not_flushed_is_told_later(make_webhook, monkeypatch):
    make_webhook()
    event = raise_alert()
    with monkeypatch.context() as broken:
        broken.setattr("notifications.services.flushing._Batch.write", _fail)
        with pytest.raises(OperationalError):
            route_all()
    assert Notification.objects.count() == 0
    assert GroupMember.objects.get().told == ""

    assert route_all() == 0
    assert Notification.objects.get().event == event


def _fail(*_args, **_named):
    raise OperationalError


def test_more_events_than_a_batch_are_all_routed(make_webhook, monkeypatch):
    monkeypatch.setattr("notifications.services.routing.BATCH", 3)
    monkeypatch.setattr("notifications.services.flushing.BATCH", 3)
    make_webhook()
    events = [raise_alert(dedup_key=f"check:{number}") for number in range(8)]

    assert route_all() == 8
    assert list(Notification.objects.order_by("id").values_list("event", flat=True)) == [
        event.pk for event in events
    ]


def test_router_that_lost_its_lease_changes_nothing(make_webhook):
    make_webhook()
    raise_alert()
    held = leases.acquire(name="notifications.route", seconds=60)
    leases.release(held)
    assert leases.acquire(name="notifications.route", seconds=60) is not None

    with pytest.raises(LeaseLostError):
        route(held)

    assert Notification.objects.count() == 0
    assert Event.objects.get().routed_at is None


def test_drill_copy_routes_nothing(make_webhook, settings):
    make_webhook()
    raise_alert()
    settings.OPS_MODE = "drill"

    assert route_all() == 0
    assert Event.objects.get().routed_at is None


def test_keys_differ_by_event_channel_and_recipient(make_webhook, make_mail_channel):
    make_webhook()
    make_mail_channel("ada@example.com", "bob@example.com")
    raise_alert(dedup_key="check:1")
    raise_alert(dedup_key="check:2")

    route_all()

    keys = set(Notification.objects.values_list("idempotency_key", flat=True))
    assert len(keys) == 6
    assert {len(key) for key in keys} == {40}


def test_channel_that_the_keyring_cannot_open_still_gets_its_message(make_mail_channel):
    channel = make_mail_channel()
    break_seal(channel)
    raise_alert()

    assert route_all() == 1
    assert Notification.objects.get().channel_id == channel.pk
