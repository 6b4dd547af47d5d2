"""Fallback: another channel tells what a channel could not, or has not in time."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.db.models import DateTimeField, Exists, ExpressionWrapper, OuterRef, Q, Value
from django.db.models.functions import Now
from django.utils import timezone

from notifications.engine.base import ACKNOWLEDGE, idempotency_key
from notifications.models import Channel, DispatchHold, Event, Notification
from notifications.models.notifications import LIFETIME
from notifications.selectors.routing import quiet_until
from notifications.selectors.targets import targets_of_channels
from notifications.services.composing import acknowledge_link

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from uuid import UUID

    from django.db.models.expressions import Combinable

    from notifications.models.notifications import NotificationQuerySet
    from notifications.selectors.targets import Target

logger = logging.getLogger(__name__)

LATE: Final = timedelta(minutes=2)
"""A critical message that has not left by then is told through the fallback as well."""

BATCH: Final = 200
_MISSED_WITHIN: Final = timedelta(hours=48)

# A test asks about its own channel; whoever sends again by hand sees what comes of it.
_NOT_REPLACED: Final = (Notification.Reason.TEST, Notification.Reason.RESEND)


def stand_in(ids: Collection[int]) -> int:
    """Tell through their channels' fallbacks what these messages could not; return how many do.

    It is the same decision under the same number, so a fallback that was told anyway is not told
    twice, and what follows in the thread reaches it too. What goes wrong here must not lose what
    came of the message itself: it is logged, and the auditor tries again.
    """
    if not ids or not _some_channel_has_one():
        return 0
    try:
        with transaction.atomic():
            return _stand_in(_replaceable().filter(pk__in=ids), "did not take it")
    except Exception:
        logger.exception("Messages did not get to the fallback of their channel.")
        return 0


def late() -> int:
    """Tell the fallbacks what is critical and late, or whose channel rests; return how many rows.

    The message itself stays on its way.
    """
    if not _some_channel_has_one() or DispatchHold.objects.exists():
        return 0
    waiting = _replaceable().pending().filter(priority=Notification.Priority.CRITICAL)
    # Its day begins when it may leave: made, released, or tried again by hand.
    is_old = Q(expires_at__lte=_ago(LATE - LIFETIME))
    rests = Q(channel__open_until__gt=Now()) | Q(channel__enabled=False)
    with transaction.atomic():
        return _stand_in(_unreplaced(waiting.filter(is_old | rests)), "has not delivered it yet")


def missed() -> int:
    """Make good what `stand_in` could not do for messages that died lately; return how many."""
    if not _some_channel_has_one() or DispatchHold.objects.exists():
        return 0
    dead = _replaceable().filter(
        state=Notification.State.DEAD, created_at__gte=_ago(_MISSED_WITHIN)
    )
    with transaction.atomic():
        return _stand_in(_unreplaced(dead), "did not take it")


def _some_channel_has_one() -> bool:
    return Channel.objects.filter(fallback__isnull=False).exists()


def _ago(span: timedelta) -> Combinable:
    return ExpressionWrapper(Now() - Value(span), output_field=DateTimeField())


def _replaceable() -> NotificationQuerySet:
    rows = Notification.objects.filter(channel__fallback__isnull=False)
    return rows.exclude(reason__in=_NOT_REPLACED)


def _unreplaced(rows: NotificationQuerySet) -> NotificationQuerySet:
    """Leave out what the fallback was told, for this message or for another of the same moment."""
    repeated = Notification.objects.filter(
        original=OuterRef("pk"), reason=Notification.Reason.FALLBACK
    )
    told = Notification.objects.filter(
        group=OuterRef("group"), seq=OuterRef("seq"), channel=OuterRef("channel__fallback")
    )
    return rows.filter(~Exists(repeated), ~Exists(told))


def _stand_in(messages: NotificationQuerySet, why: str) -> int:
    found = messages.select_related("channel", "group").defer("channel__config").order_by("pk")
    rows: list[Notification] = []
    for message in found[:BATCH]:
        rows += _rows_for(message, why, rows)
    if rows:
        # A key that exists already belongs to a message that tells the same.
        Notification.objects.bulk_create(rows, ignore_conflicts=True)
        names = sorted({row.channel_name for row in rows})
        logger.warning(
            "Messages go to the fallback of their channel.",
            extra={"channels": names, "messages": len(rows)},
        )
    return len(rows)


def _rows_for(
    message: Notification, why: str, so_far: Iterable[Notification]
) -> list[Notification]:
    told = _told(message, so_far)
    channel = _first_usable(message.channel, {channel for channel, _ in told})
    if channel is None:
        return []
    return [
        _row(message, target, why)
        for target in targets_of_channels([channel])
        if (channel.pk, target.recipient) not in told
    ]


def _told(message: Notification, so_far: Iterable[Notification]) -> set[tuple[UUID, str]]:
    """Return which recipients of which channels are told of this moment of the thread."""
    root = message.original_id or message.pk
    same = Q(pk=root) | Q(original=root)
    if message.group_id is not None:
        same |= Q(group=message.group_id, seq=message.seq)
    rows = Notification.objects.filter(same)
    moment = (message.thread_key, message.seq)
    pairs = [
        *rows.values_list("channel", "recipient"),
        *((r.channel_id, r.recipient) for r in so_far if (r.thread_key, r.seq) == moment),
    ]
    return {(channel, recipient) for channel, recipient in pairs if channel is not None}


def _first_usable(channel: Channel | None, tried: set[UUID]) -> Channel | None:
    """Return the next channel of the chain that is switched on and was not tried.

    Fallbacks that lead in a circle end where they began.
    """
    seen: set[UUID] = set()
    while channel is not None and channel.fallback_id is not None and channel.pk not in seen:
        seen.add(channel.pk)
        channel = Channel.objects.filter(pk=channel.fallback_id).first()
        if channel is not None and channel.enabled and channel.pk not in tried | seen:
            return channel
    return None


def _row(message: Notification, target: Target, why: str) -> Notification:
    now = timezone.now()
    until = quiet_until(target, {}, message.severity, now)
    return Notification(
        event_id=message.event_id,
        group_id=message.group_id,
        channel=target.channel,
        channel_name=target.channel.name,
        recipient=target.recipient,
        thread_key=message.thread_key,
        seq=message.seq,
        severity=message.severity,
        priority=message.priority,
        reason=Notification.Reason.FALLBACK,
        title=message.title,
        payload=_payload(message, why),
        original_id=message.original_id or message.pk,
        idempotency_key=idempotency_key(
            message.idempotency_key, "fallback", str(target.channel.pk), target.recipient
        ),
        state=Notification.State.PENDING if until is None else Notification.State.HELD,
        created_at=now,
        next_at=until or Now(),
        expires_at=(until or now) + LIFETIME,
    )


def _payload(message: Notification, why: str) -> dict[str, object]:
    payload: dict[str, object] = dict(message.payload)
    links = dict(message.payload.get("links") or {})
    is_firing = payload.get("status") == Event.Status.FIRING
    if message.group is not None and is_firing and ACKNOWLEDGE not in links:
        # Whoever was told in person had a link of their own; others use the console's.
        links |= acknowledge_link(message.group)
    notes = [f"You get this because {message.channel_name} {why}.", str(payload.get("note") or "")]
    return {
        **payload,
        "reason": Notification.Reason.FALLBACK.value,
        "links": links,
        "note": " ".join(filter(None, notes)),
    }
