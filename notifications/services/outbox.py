"""What people do with messages: retry, resend, cancel, set aside, one or many; all is audited."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import F, Value
from django.db.models.functions import Concat, Left, Now
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import record
from core.errors import InvalidTransitionError, NotFoundError
from notifications.models import Notification
from notifications.models.notifications import LIFETIME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from core.actors import Actor
    from notifications.models.notifications import NotificationQuerySet

MOST_AT_ONCE: Final = 10_000
"""More would hold the outbox, and everybody who writes to it, for too long."""

_WAITING: Final = (Notification.State.PENDING, Notification.State.HELD)
_NAMED: Final = 20
_ERROR_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which messages an act is about; what is empty does not narrow."""

    channel_id: UUID | None = None
    reason: str = ""
    severity: str = ""
    since: datetime | None = None
    until: datetime | None = None
    ids: Sequence[int] = ()

    def rows(self) -> NotificationQuerySet:
        """Return the messages, the oldest first."""
        wanted = {
            "channel": self.channel_id,
            "reason": self.reason,
            "severity": self.severity,
            "created_at__gte": self.since,
            "created_at__lte": self.until,
            "pk__in": self.ids,
        }
        given = {name: value for name, value in wanted.items() if value}
        return Notification.objects.filter(**given).order_by("pk")

    def told(self) -> str:
        """Return in words what narrows, for the record of the act."""
        given = {name: str(value) for name, value in asdict(self).items() if value}
        if self.ids:
            more = ", …" if len(self.ids) > _NAMED else ""
            given["ids"] = ", ".join(map(str, self.ids[:_NAMED])) + more
        return "; ".join(f"{name}: {value}" for name, value in given.items()) or "all"


@dataclass(frozen=True, slots=True)
class Bulk:
    """What an act on many has done, and how many more it could be done to."""

    done: int
    left: int


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
    number = _resends([original.pk]).get(original.pk, 0) + 1
    repeat = _repeat(message, original, number)
    repeat.save(force_insert=True)
    record(actor=actor, action="notification.resent", target=message, resent_as=repeat.pk)
    return _fresh(repeat)


@audited
def cancel(*, actor: Actor, notification_id: int) -> Notification:
    """Take back a message that has not left; one that is being sent just now cannot be."""
    message = _locked(notification_id)
    if not _cancel(Notification.objects.filter(pk=message.pk), actor):
        told = "being sent" if message.state == Notification.State.PENDING else message.state
        _refuse(f"Only a waiting message can be cancelled; this one is {told}.")
    record(actor=actor, action="notification.cancelled", target=message)
    return _fresh(message)


@audited
def set_aside(*, actor: Actor, notification_id: int) -> Notification:
    """Leave a dead message at that: it needs nobody any more, and keeps its error.

    Raises InvalidTransitionError if it is not dead.
    """
    message = _locked(notification_id)
    if not _set_aside([message.pk], actor):
        _refuse(f"Only a dead message can be set aside; this one is {message.state}.")
    record(actor=actor, action="notification.set_aside", target=message)
    return _fresh(message)


@audited
def retry_all(*, actor: Actor, chosen: Chosen) -> Bulk:
    """Try all dead messages among the chosen ones again, under their keys.

    Those whose channel is gone stay dead. At most MOST_AT_ONCE; the rest is counted.
    """
    dead = chosen.rows().filter(state=Notification.State.DEAD, channel__isnull=False)
    ids = _first(dead)
    done = Notification.objects.filter(pk__in=ids, state=Notification.State.DEAD).update(
        state=Notification.State.PENDING,
        next_at=Now(),
        expires_at=timezone.now() + LIFETIME,
        wait_seconds=0.0,
    )
    return _told(actor, "notification.retried_all", chosen, done, dead)


@audited
def resend_all(*, actor: Actor, chosen: Chosen) -> Bulk:
    """Send all sent messages among the chosen ones once more, each as a new message.

    Tests are left out, and those whose channel is gone. At most MOST_AT_ONCE; the rest is counted.
    """
    sent = chosen.rows().filter(state=Notification.State.SENT, channel__isnull=False)
    sent = sent.exclude(reason=Notification.Reason.TEST)
    everything = sent.count()
    messages = list(sent.select_related("original").defer("channel__config")[:MOST_AT_ONCE])
    roots = {message.pk: message.original or message for message in messages}
    # Resends count from their root; its lock keeps their numbers apart.
    ids = sorted({root.pk for root in roots.values()})
    _lock(ids)
    numbers = _resends(ids)
    repeats = []
    for message in messages:
        root = roots[message.pk]
        numbers[root.pk] = numbers.get(root.pk, 0) + 1
        repeats.append(_repeat(message, root, numbers[root.pk]))
    Notification.objects.bulk_create(repeats, batch_size=500)
    left = everything - len(repeats)
    _record_all(actor, "notification.resent_all", chosen, len(repeats), left)
    return Bulk(len(repeats), left)


@audited
def cancel_all(*, actor: Actor, chosen: Chosen) -> Bulk:
    """Take back all of the chosen messages that have not left; what is being sent now is not.

    At most MOST_AT_ONCE; the rest is counted.
    """
    waiting = chosen.rows().filter(state__in=_WAITING).unleased()
    done = _cancel(Notification.objects.filter(pk__in=_first(waiting)), actor)
    return _told(actor, "notification.cancelled_all", chosen, done, waiting)


@audited
def set_aside_all(*, actor: Actor, chosen: Chosen) -> Bulk:
    """Leave all dead messages among the chosen ones at that, also those that were for nobody.

    At most MOST_AT_ONCE; the rest is counted.
    """
    dead = chosen.rows().filter(state=Notification.State.DEAD)
    done = _set_aside(_first(dead), actor)
    return _told(actor, "notification.set_aside_all", chosen, done, dead)


def _set_aside(ids: Sequence[int], actor: Actor) -> int:
    dead = Notification.objects.filter(pk__in=ids, state=Notification.State.DEAD)
    words = Value(f"Set aside by {actor.name}. "[:_ERROR_CHARACTERS])
    return dead.update(
        state=Notification.State.CANCELLED,
        last_error=Left(Concat(words, F("last_error")), _ERROR_CHARACTERS),
    )


def _cancel(rows: NotificationQuerySet, actor: Actor) -> int:
    return (
        rows.filter(state__in=_WAITING)
        .unleased()
        .update(
            state=Notification.State.CANCELLED,
            lease_until=None,
            lease_token=None,
            last_error=f"Cancelled by {actor.name}"[:_ERROR_CHARACTERS],
        )
    )


def _repeat(message: Notification, original: Notification, number: int) -> Notification:
    return Notification(
        event_id=message.event_id,
        group_id=message.group_id,
        user_id=message.user_id,
        channel_id=message.channel_id,
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


def _resends(ids: Sequence[int]) -> dict[int, int]:
    """Return the last number under which each message was sent again."""
    rows = Notification.objects.filter(original__in=ids, reason=Notification.Reason.RESEND)
    last: dict[int, int] = {}
    # Read from the keys: counting would give a number twice once retention has removed the first.
    for original, key in rows.values_list("original", "idempotency_key"):
        assert original is not None  # noqa: S101  # the filter above
        number = int(key.rpartition("-r")[2])
        last[original] = max(number, last.get(original, 0))
    return last


def _first(rows: NotificationQuerySet) -> list[int]:
    return list(rows.values_list("pk", flat=True)[:MOST_AT_ONCE])


def _lock(ids: Sequence[int]) -> None:
    rows = Notification.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk")
    list(rows.values_list("pk", flat=True))


def _told(
    actor: Actor, action: str, chosen: Chosen, done: int, remaining: NotificationQuerySet
) -> Bulk:
    left = remaining.count()
    _record_all(actor, action, chosen, done, left)
    return Bulk(done, left)


def _record_all(actor: Actor, action: str, chosen: Chosen, done: int, left: int) -> None:
    if done:
        record(actor=actor, action=action, messages=done, left=left, chosen=chosen.told())


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
