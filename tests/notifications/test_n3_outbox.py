"""Retry, resend and cancel: what people do with messages, each act audited."""

import pytest
from django.utils import timezone

from audit.models import AuditRecord
from core.actors import Actor
from core.errors import InvalidTransitionError, NotFoundError
from notifications.models import Notification
from notifications.services.claims import claim
from notifications.services.outbox import cancel, resend, retry
from tests.notifications.conftest import alert_to, raise_alert, route_all

pytestmark = pytest.mark.django_db

OPERATOR = Actor.command("test")


@pytest.fixture
def message(make_webhook):
    return alert_to(make_webhook(), body="HTTP 500")


def put(message: Notification, state: str) -> Notification:
    """Bring the row into a state, as its past would have."""
    changes = {
        "pending": {},
        "sent": {"sent_at": timezone.now(), "attempts": 1},
        "dead": {"last_error": "It answered 401.", "attempts": 3, "wait_seconds": 400.0},
        "cancelled": {"last_error": "Cancelled by ada"},
        "suppressed": {"last_error": "Suppressed: maintenance"},
    }
    Notification.objects.filter(pk=message.pk).update(state=state, **changes[state])
    message.refresh_from_db()
    return message


def test_retry_sends_a_dead_message_under_the_same_key(message):
    put(message, "dead")
    Notification.objects.update(expires_at=timezone.now())

    again = retry(actor=OPERATOR, notification_id=message.pk)

    assert (again.pk, again.state) == (message.pk, "pending")
    assert again.idempotency_key == message.idempotency_key
    assert (again.attempts, again.wait_seconds) == (3, 0.0)
    assert (again.expires_at - timezone.now()).total_seconds() == pytest.approx(86400, abs=5)
    assert [row.pk for row in claim(channel_id=message.channel_id).messages] == [message.pk]
    entry = AuditRecord.objects.get(action="notification.retried")
    assert (entry.actor_name, entry.target_id) == ("command test", str(message.pk))


def test_resend_is_a_new_message_with_a_key_of_its_own(message):
    put(message, "sent")

    repeat = resend(actor=OPERATOR, notification_id=message.pk)

    assert repeat.pk != message.pk
    assert repeat.idempotency_key == f"{message.idempotency_key}-r1"
    assert (repeat.state, repeat.reason, repeat.original_id) == ("pending", "resend", message.pk)
    assert repeat.payload == {**message.payload, "reason": "resend"}
    message.refresh_from_db()
    assert message.state == "sent"
    assert AuditRecord.objects.filter(action="notification.resent").count() == 1


def test_resend_of_a_resend_counts_on_from_the_first(message):
    put(message, "sent")
    first = put(resend(actor=OPERATOR, notification_id=message.pk), "sent")

    second = resend(actor=OPERATOR, notification_id=first.pk)

    assert second.idempotency_key == f"{message.idempotency_key}-r2"
    assert second.original_id == message.pk


def test_cancelled_message_is_not_sent(message):
    done = cancel(actor=OPERATOR, notification_id=message.pk)

    assert (done.state, done.last_error) == ("cancelled", "Cancelled by command test")
    assert claim(channel_id=message.channel_id) is None
    assert AuditRecord.objects.filter(action="notification.cancelled").count() == 1


def test_message_on_its_way_cannot_be_cancelled(message):
    claim(channel_id=message.channel_id)

    with pytest.raises(InvalidTransitionError, match="being sent"):
        cancel(actor=OPERATOR, notification_id=message.pk)

    message.refresh_from_db()
    assert (message.state, message.attempts) == ("pending", 1)


@pytest.mark.parametrize(
    ("act", "state"),
    [
        (retry, "pending"),
        (retry, "sent"),
        (retry, "cancelled"),
        (retry, "suppressed"),
        (resend, "pending"),
        (resend, "dead"),
        (resend, "cancelled"),
        (cancel, "sent"),
        (cancel, "dead"),
        (cancel, "cancelled"),
    ],
)
def test_act_in_another_state_changes_nothing(message, act, state):
    put(message, state)
    before = list(Notification.objects.values()), AuditRecord.objects.count()

    with pytest.raises(InvalidTransitionError):
        act(actor=OPERATOR, notification_id=message.pk)

    assert (list(Notification.objects.values()), AuditRecord.objects.count()) == before


def test_message_without_a_channel_cannot_be_sent():
    raise_alert()
    route_all()
    message = Notification.objects.get()
    assert message.state == "dead"

    with pytest.raises(InvalidTransitionError, match="channel"):
        retry(actor=OPERATOR, notification_id=message.pk)


@pytest.mark.parametrize("act", [retry, resend, cancel])
def test_unknown_message_is_not_found(db, act):
    with pytest.raises(NotFoundError):
        act(actor=OPERATOR, notification_id=999_999)
