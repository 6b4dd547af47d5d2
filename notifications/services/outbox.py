"""What people do with messages: retry, resend, cancel; each act is audited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models.functions import Now
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import record
from core.errors import InvalidTransitionError, NotFoundError
from notifications.models import Notification
from notifications.models.notifications import LIFETIME

if TYPE_CHECKING:
    from core.actors import Actor


@audited
def retry(*, actor: Actor, notification_id: int) -> Notification:
    """Try a dead message again: the same row and key, with a new lifetime.

    Raises InvalidTransitionError if it is not dead, or if its channel is gone.
    """
    message = _locked(notification_id)
    _need_channel(message)
    dead = Notification.objects.filter(pk=message.pk, state=Notification.State.DEAD)
    if not dead.update(
        state=Notification.State.PENDING,
        next_at=Now(),
        expires_at=timezone.now() + LIFETIME,
        wait_seconds=0.0,
    ):
        _refuse(f"Only a dead message can be tried again; this one is {message.state}.")
    record(actor=actor, action="notification.retried", target=message)
    return _fresh(message)


@audited
def resend(*, actor: Actor, notification_id: int) -> Notification:
    """Send a sent message once more: a new row, whose key tells it from the first.

    Raises InvalidTransitionError if it was not sent, or if its channel is gone.
    """
    message = _locked(notification_id)
    if message.state != Notification.State.SENT:
        _refuse(f"Only a sent message can be sent again; this one is {message.state}.")
    _need_channel(message)
    # Resends of a resend count from the same root; its lock keeps their numbers apart.
    original = message if message.original_id is None else _locked(message.original_id)
    number = original.resends.count() + 1
    repeat = Notification.objects.create(
        event=message.event,
        channel=message.channel,
        channel_name=message.channel_name,
        recipient=message.recipient,
        thread_key=message.thread_key,
        seq=message.seq,
        severity=message.severity,
        priority=message.priority,
        reason=Notification.Reason.RESEND,
        title=message.title,
        payload={**message.payload, "reason": Notification.Reason.RESEND.value},
        original=original,
        idempotency_key=f"{original.idempotency_key}-r{number}",
        next_at=Now(),
        expires_at=timezone.now() + LIFETIME,
    )
    record(actor=actor, action="notification.resent", target=message, resent_as=repeat.pk)
    return _fresh(repeat)


@audited
def cancel(*, actor: Actor, notification_id: int) -> Notification:
    """Take back a message that has not left; one that is being sent just now cannot be."""
    message = _locked(notification_id)
    waiting = Notification.objects.pending().unleased().filter(pk=message.pk)
    if not waiting.update(
        state=Notification.State.CANCELLED,
        lease_until=None,
        lease_token=None,
        last_error=f"Cancelled by {actor.name}"[:300],
    ):
        told = "being sent" if message.state == Notification.State.PENDING else message.state
        _refuse(f"Only a waiting message can be cancelled; this one is {told}.")
    record(actor=actor, action="notification.cancelled", target=message)
    return _fresh(message)


def _locked(notification_id: int) -> Notification:
    rows = Notification.objects.select_for_update(of=("self",)).select_related("channel", "event")
    message = rows.defer("channel__config").filter(pk=notification_id).first()
    if message is None:
        told = "There is no such message."
        raise NotFoundError(told)
    return message


def _fresh(message: Notification) -> Notification:
    rows = Notification.objects.select_related("channel").defer("channel__config")
    return rows.get(pk=message.pk)


def _need_channel(message: Notification) -> None:
    if message.channel_id is None:
        _refuse("The channel of this message is gone; there is no way to send it.")


def _refuse(message: str) -> None:
    raise InvalidTransitionError(message)
