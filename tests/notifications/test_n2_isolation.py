"""What must reach people although something beside it is wrong, over, or many."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from core.actors import SYSTEM
from notifications.models import Event, Group, Notification
from notifications.services import flushing, routes, routing
from tests.notifications.conftest import raise_alert, route_all
from tests.notifications.threads import make_route, mark_sent, pass_time, tell, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def poison(monkeypatch):
    """Let everything that a thread says of one alert fail."""

    def compose(group: Group, chosen: Any, events: Any, **fields: Any) -> Any:
        if any(member.dedup_key == "check:1" for member in chosen):
            raise ValueError(group)
        return original(group, chosen, events, **fields)

    original = flushing.compose
    monkeypatch.setattr(flushing, "compose", compose)
    return lambda: monkeypatch.setattr(flushing, "compose", original)


def test_a_thread_that_cannot_speak_does_not_silence_the_others(make_webhook, poison):
    make_webhook()
    for number in (1, 2):
        raise_alert(dedup_key=f"check:{number}", title=f"check {number} is down")
    route_all()

    assert told() == [("first", "check 2 is down", "pending")]
    aside = Group.objects.get(flush_at__isnull=False)
    assert aside.common == {"alert": "check:1"}
    assert timedelta(seconds=30) < aside.flush_at - timezone.now() <= flushing.SET_ASIDE

    poison()
    pass_time(seconds=61)
    route_all()
    assert [row[1] for row in told()] == ["check 2 is down", "check 1 is down"]


def test_an_event_that_cannot_be_routed_waits_with_what_follows_of_it(make_webhook, monkeypatch):
    make_webhook()
    original = routing._Batch.take

    def take(batch: Any, event: Event) -> None:
        if (event.dedup_key, event.transition_seq) == ("check:1", 1):
            raise ValueError(event)
        original(batch, event)

    monkeypatch.setattr(routing._Batch, "take", take)
    raise_alert(dedup_key="check:1", transition_seq=1)
    raise_alert(dedup_key="check:1", transition_seq=2, status="resolved")
    raise_alert(dedup_key="check:2", transition_seq=1, title="check 2 is down")
    route_all()

    assert [row[1] for row in told()] == ["check 2 is down"]
    waiting = Event.objects.filter(routed_at=None).order_by("pk")
    assert list(waiting.values_list("dedup_key", "transition_seq")) == [
        ("check:1", 1),
        ("check:1", 2),
    ]

    monkeypatch.setattr(routing._Batch, "take", original)
    route_all()
    assert not Event.objects.filter(routed_at=None).exists()


def test_an_alert_whose_route_was_deleted_before_it_was_told_is_for_everybody(make_webhook):
    make_webhook(name="rest")
    route = make_route(make_webhook(name="shop"), group_wait_seconds=30)
    tell(1, severity="warning")
    routes.delete(actor=SYSTEM, route_id=route.pk)
    pass_time(seconds=60)
    route_all()

    names = Notification.objects.order_by("channel_name").values_list("channel_name", "state")
    assert list(names) == [("rest", "pending"), ("shop", "pending")]


def test_a_critical_alert_does_not_wait_behind_a_storm_of_warnings(make_webhook):
    make_route(make_webhook(), group_by=["alert"], group_interval_seconds=3_600)
    for number in range(25):
        raise_alert(dedup_key=f"check:{number}", severity="warning")
    route_all()
    mark_sent()

    tell(99, severity="critical")

    assert [row[:2] for row in told()] == [
        ("storm", "25 alerts at once"),
        ("first", "check 99 is down"),
    ]


def test_what_is_critical_in_a_storm_is_told_within_a_minute(make_webhook):
    make_route(make_webhook(), group_by=["alert"], group_interval_seconds=3_600)
    for number in range(25):
        raise_alert(dedup_key=f"check:{number}", severity="critical")
    route_all()
    mark_sent()

    tell(99, severity="critical")
    assert len(told()) == 1
    pass_time(seconds=61)
    route_all()

    assert [row[0] for row in told()] == ["storm", "new_alerts"]
