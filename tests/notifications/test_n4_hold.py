"""A hold on all messages is told in the console, and ended there."""

import pytest

from core.actors import SYSTEM
from notifications.models import DispatchHold, Notification
from notifications.services import holds
from tests.notifications.conftest import alert_to

pytestmark = pytest.mark.django_db

QUEUE = "/admin/notifications/notification/"
RELEASE = f"{QUEUE}release/"


@pytest.fixture
def as_role(console, make_user):
    return lambda role: console(make_user(role=role))


@pytest.fixture
def held(make_webhook):
    """Return a message from before a hold."""
    message = alert_to(make_webhook())
    holds.place(actor=SYSTEM, reason="Restored from Monday.")
    return message


def test_queue_and_dashboard_tell_it(as_role, held):
    client = as_role("operator")

    queue = client.get(QUEUE).content.decode()
    assert "No message leaves since" in queue
    assert "Restored from Monday." in queue
    assert f'href="{RELEASE}"' in queue
    assert "Messages are held back" in client.get("/admin/").content.decode()


def test_without_a_hold_nothing_is_told(as_role):
    client = as_role("operator")

    assert "No message leaves since" not in client.get(QUEUE).content.decode()
    assert "Messages are held back" not in client.get("/admin/").content.decode()
    assert client.get(RELEASE).url == QUEUE


@pytest.mark.parametrize(("old", "becomes"), [("cancel", "cancelled"), ("send", "pending")])
def test_it_ends_as_the_person_chooses(as_role, held, old, becomes):
    client = as_role("operator")
    page = client.get(RELEASE).content.decode()
    assert "1 message from before that waits" in page

    answer = client.post(RELEASE, {"old": old})

    assert answer.url == QUEUE
    held.refresh_from_db()
    assert held.state == becomes
    assert not DispatchHold.objects.exists()


def test_without_a_choice_it_stands(as_role, held):
    answer = as_role("operator").post(RELEASE)

    assert answer.url == RELEASE
    held.refresh_from_db()
    assert held.state == "pending"
    assert DispatchHold.objects.exists()


@pytest.mark.parametrize("role", ["manager", "auditor", "engineer"])
def test_who_may_not_resend_cannot_end_it(as_role, held, role):
    client = as_role(role)

    assert "No message leaves since" in client.get(QUEUE).content.decode()
    assert client.get(RELEASE).status_code == 403
    assert client.post(RELEASE, {"old": "cancel"}).status_code == 403

    assert DispatchHold.objects.exists()
    assert Notification.objects.get().state == "pending"
