"""The auditor finds what is stuck, mends what it may, and speaks outside only when all is well."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core import leases
from core.actors import Actor
from core.models import Lease
from notifications.models import Channel, EscalationRun, Event, Group, GroupMember, Notification
from notifications.services import auditing, holds
from notifications.services.auditing import Audit, audit, examine
from notifications.tasks import audit as task
from tests.notifications.conftest import raise_alert
from tests.notifications.queued import queue_one
from tests.notifications.receivers import Answer

pytestmark = pytest.mark.django_db

LOOPS = ("notifications.route", "notifications.dispatch")
WELL = Audit((), (), told_outside=False)


@pytest.fixture(autouse=True)
def _loops_have_run():
    """Leave the leases as the loops of a living daemon do."""
    for name in LOOPS:
        leases.release(leases.acquire(name=name, seconds=15))


def ago(minutes: float):
    return timezone.now() - timedelta(minutes=minutes)


def stuck_alert() -> Event:
    event = raise_alert(dedup_key="check:7", severity="warning")
    Event.objects.filter(pk=event.pk).update(created_at=ago(2))
    return event


def thread(**fields) -> Group:
    event = raise_alert(dedup_key="check:8")
    Event.objects.filter(pk=event.pk).update(routed_at=timezone.now(), routing="routed")
    given = {"route_name": "All", "group_key": "x", "title": "x", "severity": "critical"}
    group = Group.objects.create(**given | fields)
    GroupMember.objects.create(
        group=group,
        dedup_key=event.dedup_key,
        event=event,
        status="firing",
        severity="critical",
        since=event.created_at,
    )
    return group


def own_alerts() -> list[tuple[str, str, int]]:
    rows = Event.objects.filter(dedup_key=auditing.DEDUP_KEY).order_by("pk")
    return list(rows.values_list("status", "severity", "transition_seq"))


def test_nothing_is_wrong_where_nothing_waits():
    assert audit() == WELL
    assert (task(), own_alerts()) == (0, [])


def test_alert_that_nobody_routed_is_routed_and_told_of(make_webhook):
    make_webhook()
    event = stuck_alert()

    found = audit()

    assert found.found == ("1 alerts have not been routed for over a minute.",)
    assert (found.left, found.told_outside) == ((), False)
    event.refresh_from_db()
    assert event.routing == "routed"
    assert own_alerts() == [("firing", "warning", 1)]


def test_self_alert_is_one_until_all_is_well(make_webhook):
    make_webhook()
    held = leases.acquire(name="notifications.route", seconds=100)
    stuck_alert()
    for _ in range(3):
        found = audit()
        # Another holds the lease: two routers would bring threads out of order.
        assert found.left == found.found != ()
    assert own_alerts() == [("firing", "critical", 1)]

    leases.release(held)
    # Mended now, and clean the next time.
    audit()
    assert audit() == WELL
    assert audit() == WELL

    assert own_alerts() == [("firing", "critical", 1), ("resolved", "critical", 2)]


def test_daemon_that_has_not_run_is_found():
    Lease.objects.filter(name="notifications.dispatch").update(until=ago(6))

    assert examine() == ("Nobody has sent messages for five minutes.",)


def test_firing_thread_of_which_nothing_was_told_is_planned(make_webhook):
    make_webhook()
    group = thread(opened_at=ago(2))

    found = audit()

    assert found.found == ("1 threads have been firing without a message or an escalation.",)
    assert found.left == ()
    assert Notification.objects.filter(group=group).exists()


def test_thread_that_should_have_been_told_is_told(make_webhook):
    make_webhook()
    group = thread(flush_at=ago(2))

    found = audit()

    assert found.found == ("1 threads should have been told for over a minute.",)
    assert found.left == ()
    assert Notification.objects.filter(group=group).exists()


@pytest.mark.parametrize("opened", [0.1, 30])
def test_thread_that_waits_for_company_is_no_finding(opened):
    thread(opened_at=ago(opened), flush_at=timezone.now() + timedelta(minutes=5))

    assert examine() == ()


def test_escalation_that_is_late_is_found_and_moved(make_webhook):
    group = thread(opened_at=ago(20), last_sent_at=ago(20))
    step = {
        "wait_seconds": 0,
        "min_severity": "info",
        "channels": [str(make_webhook().pk)],
        "people": [],
        "schedules": [],
    }
    EscalationRun.objects.create(
        group=group, chain_name="Duty", steps=[step], next_step_at=ago(3), started_at=ago(20)
    )

    found = audit()

    assert found.found == ("1 escalations are more than two minutes late.",)
    assert found.left == ()
    assert Notification.objects.get(group=group).reason == "escalation"


@pytest.mark.parametrize(
    ("severity", "minutes", "is_late"),
    [
        ("critical", 6, True),
        ("critical", 4, False),
        ("warning", 16, True),
        ("warning", 14, False),
        ("info", 61, True),
        ("info", 59, False),
    ],
)
def test_message_that_lies_there_is_found_by_its_severity(make_webhook, severity, minutes, is_late):
    queue_one(make_webhook(), severity=severity, next_at=ago(minutes + 0.2))

    assert examine() == (
        (f"A {severity} message has been due for {minutes} minutes.",) if is_late else ()
    )


@pytest.mark.parametrize(
    "fields",
    [
        lambda now: {"open_until": now + timedelta(hours=1)},
        lambda now: {"tokens_at": now + timedelta(minutes=10)},
        lambda _: {"enabled": False},
    ],
)
def test_message_whose_channel_rests_is_no_finding(make_webhook, fields):
    channel = make_webhook()
    queue_one(channel, next_at=ago(30))
    Channel.objects.filter(pk=channel.pk).update(**fields(timezone.now()))

    assert examine() == ()


def test_fault_of_one_repair_leaves_the_others(make_webhook, monkeypatch, caplog):
    make_webhook()
    event = stuck_alert()

    def fail() -> None:
        told = "broken"
        raise RuntimeError(told)

    monkeypatch.setattr(auditing, "_plan_untold", fail)

    assert audit().left == ()

    event.refresh_from_db()
    assert event.routing == "routed"
    assert "could not mend" in caplog.text


def test_switch_outside_is_told_only_when_all_is_well(make_webhook, receiver, settings):
    make_webhook()
    receiver.answers = [Answer(200), Answer(500)]
    settings.OPS_DEAD_MANS_SWITCH_URL = receiver.url

    assert audit().told_outside
    assert len(receiver.requests) == 1

    stuck_alert()
    assert not audit().told_outside
    assert len(receiver.requests) == 1

    # It was mended meanwhile, but the switch refuses this time.
    assert not audit().told_outside
    assert len(receiver.requests) == 2


def test_address_of_the_switch_stays_secret_when_it_cannot_be_reached(settings, caplog):
    settings.OPS_DEAD_MANS_SWITCH_URL = "http://127.0.0.1:1/t0p-s3cret"

    assert not audit().told_outside

    assert "could not be told" in caplog.text
    assert "s3cret" not in caplog.text + str([vars(line) for line in caplog.records])


def test_switch_is_silent_while_messages_are_held_back(receiver, settings):
    settings.OPS_DEAD_MANS_SWITCH_URL = receiver.url
    holds.place(actor=Actor.command("test"), reason="Restored.")

    assert audit() == WELL
    assert receiver.requests == []


def test_drill_copy_looks_at_nothing(receiver, settings):
    settings.OPS_DEAD_MANS_SWITCH_URL = receiver.url
    settings.OPS_MODE = "drill"
    stuck_alert()

    assert audit() == WELL

    assert (receiver.requests, own_alerts()) == ([], [])
