"""Figures and words that hold: silenced threads, gaps that hold now, the next shift."""

import re
from datetime import time, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from core.actors import SYSTEM
from notifications.models import Group
from notifications.selectors import silenced
from notifications.services import oncall, silences
from tests.notifications.escalations import chain, person, thread

pytestmark = pytest.mark.django_db

THREADS = "/admin/notifications/group/"


@pytest.fixture
def as_role(console, make_user):
    return lambda role: console(make_user(role=role))


def words(answer) -> str:
    """Return the text of a page, each space once."""
    main = answer.content.decode().split('id="content"')[1]
    return re.sub(r"\s+", " ", strip_tags(main.replace("<", " <")))


def silence(service="shop"):
    return silences.create(
        actor=SYSTEM,
        matchers=[{"field": "service", "op": "=", "values": [service]}],
        starts_at=timezone.now() - timedelta(minutes=1),
        ends_at=timezone.now() + timedelta(hours=1),
        comment="We move.",
    )


def test_a_silenced_thread_asks_nobody_to_take_care(as_role):
    thread("shop", title="shop is down")
    client = as_role("operator")
    assert "shop is down" in words(client.get(THREADS, {"stands": "waiting"}))
    assert "1 not acknowledged" in words_of_menu(client)

    silence()

    assert "shop is down" not in words(client.get(THREADS, {"stands": "waiting"}))
    shown = words(client.get(THREADS))
    assert "shop is down" in shown
    assert "Silenced" in shown
    assert "not acknowledged" not in words_of_menu(client)


def words_of_menu(client) -> str:
    page = client.get(reverse("admin:index")).content.decode().split('id="content"')[0]
    return re.sub(r"\s+", " ", strip_tags(page.replace("<", " <")))


def test_a_thread_of_which_one_alert_is_heard_is_not_silenced():
    group = thread("shop", "pump")
    silence()
    assert silenced.threads() == {group.pk}
    other = group.members.get(dedup_key="pump").event
    type(other).objects.filter(pk=other.pk).update(service="pump")

    assert silenced.threads() == set()


def test_without_a_silence_no_thread_is_judged(django_assert_num_queries):
    thread("shop")
    with django_assert_num_queries(1):
        assert silenced.threads() == set()


def test_what_is_cut_off_counts_as_heard(monkeypatch):
    monkeypatch.setattr(silenced, "MOST_JUDGED", 2)
    old, new = thread("a"), thread("b")
    silence()
    assert silenced.threads() == {new.pk}
    Group.objects.filter(pk=old.pk).update(acked_at=timezone.now())
    assert silenced.threads() == {new.pk}


def test_a_gap_that_holds_did_not_begin_with_the_look(as_role, make_user):
    ada = person(make_user, "ada")
    now = timezone.now()
    duty = oncall.create(actor=SYSTEM, name="Night", slots=[], time_zone="UTC")
    chain({"schedules": [duty.pk]})
    client = as_role("operator")
    page = reverse("admin:notifications_oncallschedule_change", args=[duty.pk])
    assert "now, and for the next 7 days" in words(client.get(page))
    assert "Nobody is on call in Night: now, and for" in words(client.get(reverse("admin:index")))

    begins = (now + timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
    oncall.stand_in(
        actor=SYSTEM,
        schedule_id=duty.pk,
        user_id=ada.pk,
        starts_at=begins,
        ends_at=begins + timedelta(hours=3),
        reason="",
    )

    told = f"now, until {begins:%a %d %b %H:%M}"
    assert told in words(client.get(page))
    assert f"Nobody is on call in Night: {told}" in words(client.get(reverse("admin:index")))


def test_a_person_sees_when_they_are_on_call_next(console, make_user):
    ada, eve = person(make_user, "ada"), person(make_user, "eve")
    slots = [
        {"weekday": day, "starts": time(0), "ends": time(0), "user": ada.pk} for day in range(7)
    ]
    oncall.create(actor=SYSTEM, name="Always", slots=slots, time_zone="UTC")
    night = oncall.create(actor=SYSTEM, name="Night", slots=[], time_zone="UTC")
    begins = (timezone.now() + timedelta(days=9)).replace(minute=0, second=0, microsecond=0)
    oncall.stand_in(
        actor=SYSTEM,
        schedule_id=night.pk,
        user_id=ada.pk,
        starts_at=begins,
        ends_at=begins + timedelta(hours=3),
        reason="",
    )

    page = words(console(ada).get(reverse("account-notifications")))

    assert "Always : Now, until" in page
    until = begins + timedelta(hours=3)
    assert f"Night : From {begins:%a %d %b %H:%M} until {until:%a %d %b %H:%M} (UTC)" in page
    page = words(console(eve).get(reverse("account-notifications")))
    assert "You are not on call within four weeks." in page


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("my notif", "My notifications"),
        ("slack", "Add a channel"),
        ("acknowledge", "Acknowledge a thread"),
    ],
)
def test_the_palette_finds_what_people_ask_for(as_role, query, title):
    found = as_role("admin").get(reverse("admin:palette"), {"q": query}).json()["results"]
    assert title in [one["title"] for one in found]


def test_the_palette_finds_a_channel_by_its_kind(as_role, make_webhook):
    make_webhook(name="chat")
    found = as_role("admin").get(reverse("admin:palette"), {"q": "webhook"}).json()["results"]
    assert "chat" in [one["title"] for one in found]
