"""Whoever was told that something began is told that it is over, whatever was changed between."""

import pytest

from core.actors import SYSTEM
from notifications.models import Event, Group, Notification
from notifications.selectors.targets import Target
from notifications.services import channels, outgoing, routes
from tests.notifications.conftest import raise_alert, route_all
from tests.notifications.threads import make_route, mark_sent, tell, told

pytestmark = pytest.mark.django_db


def ends() -> list[object]:
    found = Notification.objects.filter(reason="all_resolved").exclude(channel=None)
    return list(found.order_by("pk").values_list("channel", flat=True))


def test_route_that_was_deleted_still_tells_the_end(make_webhook):
    hook = make_webhook()
    route = make_route(hook)
    tell(1)
    mark_sent()
    routes.delete(actor=SYSTEM, route_id=route.pk)
    tell(1, "resolved")

    assert ends() == [hook.pk]


def test_route_with_other_conditions_still_tells_the_end(make_webhook):
    hook, other = make_webhook(), make_webhook()
    route = make_route(hook)
    tell(1)
    mark_sent()
    routes.update(
        actor=SYSTEM,
        route_id=route.pk,
        matchers=[{"field": "service", "op": "=", "values": ["bank"]}],
        channels=[other.pk],
    )
    tell(1, "resolved")

    assert set(ends()) == {hook.pk, other.pk}


def test_whom_an_escalation_reached_is_told_the_end(make_webhook):
    hook, other = make_webhook(), make_webhook(enabled=True)
    make_route(hook)
    tell(1)
    group = Group.objects.get()
    outgoing.enqueue(group, targets=[Target(other)], reason="escalation", note="Step 1.")
    mark_sent()
    tell(1, "resolved")

    assert set(ends()) == {hook.pk, other.pk}
    assert set(Notification.objects.values_list("seq", flat=True)) == {1, 2, 3}


def test_channel_that_was_switched_off_hears_the_end_when_it_is_on_again(make_webhook):
    hook, other = make_webhook(), make_webhook()
    make_route(hook, other)
    tell(1)
    mark_sent()
    channels.update(
        actor=SYSTEM,
        channel_id=other.pk,
        name=other.name,
        enabled=False,
        timeout_seconds=10,
        max_parallel=10,
    )
    tell(1, "resolved")

    # It waits there until the channel is on again.
    assert set(ends()) == {hook.pk, other.pk}


def test_alert_of_before_there_were_threads_is_told_to_be_over(make_webhook):
    hook = make_webhook()
    begun = raise_alert()
    route_all()
    # As the release before has left it.
    Notification.objects.update(
        group=None, thread_key="check:1", seq=7, state="sent", sent_at=begun.created_at
    )
    Group.objects.all().delete()
    Event.objects.update(decided=[])

    tell(1, "resolved")

    end = Notification.objects.get(reason="all_resolved")
    assert (end.channel_id, end.seq, end.payload["dedup_key"]) == (hook.pk, 8, "check:1")
    group = Group.objects.get()
    assert not group.is_open
    assert set(Notification.objects.values_list("group", flat=True)) == {group.pk}


def test_suppressed_end_is_told_to_those_who_know_of_it(make_webhook):
    make_webhook()
    tell(1)
    mark_sent()
    tell(1, "resolved", suppressed_by="maintenance")

    assert [row[0] for row in told()] == ["first", "all_resolved"]
