"""The page of an incident tells what people were told of it, and if nobody was, why."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core.actors import SYSTEM
from notifications.models import Group, Notification
from notifications.services import channels, silences
from reliability.models import Incident
from tests.notifications.conftest import route_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def begin(make_service, make_check, see):
    """Let a service go down; return the address of its incident."""

    def make():
        check = make_check(service=make_service("Shop"))
        see(check, True, False, False, start=timezone.now())
        return f"/admin/reliability/incident/{Incident.objects.get().pk}/change/"

    return make


@pytest.fixture
def chat(db):
    created = channels.create(
        actor=SYSTEM, kind="webhook", name="chat", config={"url": "https://hooks.example.com/x"}
    )
    return created.channel


def test_the_page_leads_to_the_thread_and_its_messages(console, make_user, begin, chat):
    page = begin()
    route_all()

    shown = console(make_user(role="operator")).get(page).content.decode()

    message = Notification.objects.get(channel=chat)
    assert f'href="/admin/notifications/group/{Group.objects.get().pk}/change/"' in shown
    assert f'href="/admin/notifications/notification/{message.pk}/change/"' in shown
    assert "chat" in shown


def test_before_the_router_has_looked_the_page_says_so(console, make_user, begin, chat):
    page = begin()

    shown = console(make_user(role="operator")).get(page).content.decode()

    assert "Its alert waits for the router." in shown


def test_a_silence_is_named_as_the_reason(console, make_user, begin, chat):
    silences.create(
        actor=SYSTEM,
        matchers=[{"field": "service", "op": "=", "values": ["Shop"]}],
        ends_at=timezone.now() + timedelta(hours=1),
        comment="Load test until noon",
    )
    page = begin()
    route_all()

    shown = console(make_user(role="operator")).get(page).content.decode()

    assert "Load test until noon" in shown
    assert not Notification.objects.filter(channel=chat).exists()


def test_whoever_may_not_see_messages_sees_none(console, make_user, begin, chat):
    page = begin()
    route_all()
    reader = make_user("reliability.view_incident", is_staff=True)

    shown = console(reader).get(page).content.decode()

    assert "/admin/notifications/" not in shown
    assert "Messages about it" not in shown
