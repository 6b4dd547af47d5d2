"""Whom a thread has told is judged again at each message: rights, addresses, channels."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.services.acts import unwatched
from core.actors import SYSTEM
from notifications.models import Channel, Contact, Group, Notification, Preference
from notifications.services import acknowledgements, outgoing
from notifications.services.digests import LEFT
from tests.notifications.conftest import route_all
from tests.notifications.escalations import people_mail, person
from tests.notifications.threads import make_route, mark_sent, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(make_user):
    """Return somebody who wants every alert, by mail."""
    people_mail()
    found = person(make_user, "ada")
    Preference.objects.create(user=found, subscribes=True)
    return found


def rows(**wanted) -> list[tuple[str, str, str]]:
    found = Notification.objects.filter(**wanted).order_by("pk")
    return list(found.values_list("reason", "recipient", "state"))


def disable(user) -> None:
    with unwatched("set-up of a test"):
        user.groups.clear()
        user.is_active = False
        user.save()


def switch(channel, *, on: bool) -> None:
    with unwatched("set-up of a test"):
        Channel.objects.filter(pk=channel.pk).update(enabled=on)


def test_who_has_lost_the_right_hears_no_end(ada, make_webhook):
    make_route(make_webhook())
    tell(1)
    mark_sent()
    assert rows(user=ada) == [("first", "ada@example.com", "sent")]
    disable(ada)
    tell(1, "resolved")
    assert rows(user=ada) == [("first", "ada@example.com", "sent")]
    assert rows(reason="all_resolved") == [("all_resolved", "", "pending")]


def test_nor_that_somebody_takes_care(ada, make_webhook):
    make_route(make_webhook())
    tell(1)
    mark_sent()
    disable(ada)
    acknowledgements.acknowledge(actor=SYSTEM, group_id=Group.objects.get().pk)
    assert rows(reason="acknowledged") == [("acknowledged", "", "pending")]


def test_what_waits_for_them_is_taken_back_at_the_end(ada, make_webhook):
    make_route(make_webhook())
    tell(1)
    disable(ada)
    tell(1, "resolved")
    assert rows(user=ada) == [("first", "ada@example.com", "superseded")]


def test_an_address_that_has_changed_is_taken_as_it_is_now(ada, make_webhook):
    make_route(make_webhook())
    tell(1)
    mark_sent()
    with unwatched("set-up of a test"):
        ada.email = "new@example.com"
        ada.save()
    assert {t.recipient for t in outgoing.reached(Group.objects.get())} == {"", "new@example.com"}
    Contact.objects.create(user=ada, channel=Channel.objects.get(is_for_people=True), enabled=False)
    assert {t.recipient for t in outgoing.reached(Group.objects.get())} == {""}


@pytest.fixture
def held(ada):
    """Return a message that quiet hours hold back for that person."""
    now = timezone.now()
    Preference.objects.filter(user=ada).update(
        quiet_from=(now - timedelta(hours=1)).time(), quiet_until=(now + timedelta(hours=6)).time()
    )
    tell(1, severity="warning")
    found = Notification.objects.get(user=ada)
    assert found.state == "held"
    Notification.objects.filter(pk=found.pk).update(next_at=now - timedelta(seconds=1))
    return found


def test_what_quiet_hours_held_is_not_sent_to_who_may_not_see_it(ada, held):
    disable(ada)
    route_all()
    held.refresh_from_db()
    assert (held.state, held.last_error) == ("cancelled", LEFT)


def test_what_quiet_hours_held_goes_to_the_address_of_now(ada, held):
    with unwatched("set-up of a test"):
        ada.email = "new@example.com"
        ada.save()
    route_all()
    held.refresh_from_db()
    assert (held.state, held.recipient) == ("pending", "new@example.com")


def test_a_channel_that_is_switched_off_hears_the_end_later(make_webhook):
    shop, pager = make_webhook(name="shop"), make_webhook(name="pager")
    make_route(shop, pager)
    tell(1)
    Notification.objects.filter(channel=shop).update(
        state="sent", sent_at=timezone.now(), attempts=1
    )
    switch(shop, on=False)
    switch(pager, on=False)
    tell(1, "resolved")
    assert rows(channel=shop) == [("first", "", "sent"), ("all_resolved", "", "pending")]
    # What nobody has read is not said afterwards as if it held.
    assert rows(channel=pager) == [("first", "", "superseded"), ("all_resolved", "", "pending")]
