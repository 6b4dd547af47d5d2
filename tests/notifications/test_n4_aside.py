"""Dead letters are set aside, and what was for nobody is no loss of a channel."""

import pytest
from django.urls import reverse

from audit.models import AuditRecord
from core.actors import Actor
from core.errors import InvalidTransitionError
from notifications.models import Notification
from notifications.services.outbox import Bulk, Chosen, set_aside, set_aside_all
from tests.notifications.queued import queue, queue_one

pytestmark = pytest.mark.django_db

OPERATOR = Actor.command("test")
QUEUE = "/admin/notifications/notification/"
MESSAGES = "/api/notifications/"
LOST = "It answered 401."
GAP = "Step 1 of Duty reached nobody: nobody is on call in Night."


@pytest.fixture
def as_role(console, make_user):
    return lambda role: console(make_user(role=role))


def lost(channel, count=1):
    return queue(channel, count, state="dead", last_error=LOST)


def for_nobody(channel):
    row = queue_one(channel, state="dead", last_error=GAP)
    Notification.objects.filter(pk=row.pk).update(channel=None, channel_name="")
    row.refresh_from_db()
    return row


def test_a_dead_message_is_set_aside_and_keeps_its_error(make_webhook):
    (row,) = lost(make_webhook())

    done = set_aside(actor=OPERATOR, notification_id=row.pk)

    assert (done.state, done.last_error) == ("cancelled", f"Set aside by {OPERATOR.name}. {LOST}")
    entry = AuditRecord.objects.get(action="notification.set_aside")
    assert entry.target_id == str(row.pk)


@pytest.mark.parametrize("state", ["pending", "held", "cancelled"])
def test_nothing_but_a_dead_message_is_set_aside(make_webhook, state):
    error = "" if state != "cancelled" else "Cancelled."
    row = queue_one(make_webhook(), state=state, last_error=error)
    before = Notification.objects.values().get()

    with pytest.raises(InvalidTransitionError, match="Only a dead message"):
        set_aside(actor=OPERATOR, notification_id=row.pk)

    assert Notification.objects.values().get() == before
    assert not AuditRecord.objects.filter(action="notification.set_aside").exists()


def test_all_dead_ones_are_set_aside_also_those_for_nobody(make_webhook):
    channel = make_webhook()
    lost(channel, 3)
    for_nobody(channel)
    waiting = queue_one(channel)

    assert set_aside_all(actor=OPERATOR, chosen=Chosen()) == Bulk(done=4, left=0)

    assert list(Notification.objects.exclude(state="cancelled")) == [waiting]
    entry = AuditRecord.objects.get(action="notification.set_aside_all")
    assert '"messages":4' in entry.payload


def test_a_long_error_still_has_room(make_webhook):
    row = queue_one(make_webhook(), state="dead", last_error="x" * 300)

    done = set_aside(actor=OPERATOR, notification_id=row.pk)

    assert len(done.last_error) == 300
    assert done.last_error.startswith("Set aside by ")


def test_a_choice_of_rows_is_set_aside_in_the_queue(as_role, make_webhook):
    rows = [*lost(make_webhook(), 2), for_nobody(make_webhook())]
    data = {"action": "set_aside", "_selected_action": [row.pk for row in rows]}
    client = as_role("operator")
    assert b"Set these messages aside?" in client.post(QUEUE, data).content

    client.post(QUEUE, {**data, "confirmed": "yes"})

    assert set(Notification.objects.values_list("state", flat=True)) == {"cancelled"}


def test_what_was_for_nobody_has_words_and_acts_of_its_own(as_role, make_webhook):
    row = for_nobody(make_webhook())

    page = as_role("operator").get(f"{QUEUE}{row.pk}/change/").content.decode()

    assert "There was nobody to send it to." in page
    assert "Mend the channel" not in page
    assert GAP in page
    assert "Reached nobody" in page
    assert f"{QUEUE}{row.pk}/set-aside/" in page
    assert f"{QUEUE}{row.pk}/retry/" not in page


def test_what_was_for_nobody_is_counted_apart(as_role, make_webhook):
    channel = make_webhook()
    lost(channel, 2)
    for_nobody(channel)
    client = as_role("operator")

    page = client.get(QUEUE, {"dead": "nobody"}).content.decode()
    assert 'aria-current="page">Reached nobody <span class="count">1</span>' in page
    assert 'Dead letters <span class="count">2</span>' in page
    assert (GAP in page, LOST in page) == (True, False)
    page = client.get(reverse("admin:index")).content.decode()
    assert "2 messages could not be delivered" in page
    assert "1 message had nobody to go to" in page

    set_aside_all(actor=OPERATOR, chosen=Chosen())

    page = client.get(reverse("admin:index")).content.decode()
    assert "could not be delivered" not in page
    assert "had nobody to go to" not in page


@pytest.mark.parametrize(("role", "status"), [("operator", 200), ("auditor", 403)])
def test_a_dead_message_is_set_aside_by_api(as_role, make_webhook, role, status):
    (row,) = lost(make_webhook())

    answer = as_role(role).post(f"{MESSAGES}{row.pk}/set-aside/")

    assert answer.status_code == status
    row.refresh_from_db()
    assert row.state == ("cancelled" if status == 200 else "dead")
