"""Digests: what quiet hours held back, told together when they end."""

from __future__ import annotations

import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.utils import timezone

from core import leases
from notifications.engine import grouping
from notifications.engine.base import MOST_ALERTS, Message, idempotency_key
from notifications.models import Channel, Event, Notification
from notifications.models.notifications import LIFETIME
from notifications.services.outgoing import priority_of, ways_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from core.leases import Held

BATCH: Final = 500
KIND: Final = "notifications.digest"
# Machines read alert by alert.
NOT_FOR: Final = frozenset({Channel.Kind.WEBHOOK, Channel.Kind.PAGERDUTY})
IN_DIGEST: Final = "Told in the digest of quiet hours."

GONE: Final = "The channel was deleted."
LEFT: Final = "This person may not be told of alerts any more, or not by this channel."

_State = Notification.State


def release(held: Held) -> int:
    """Send what was held until quiet hours ended; return how many messages were released.

    Several for one recipient become one. An end that the clock put too far away was checked when
    the message was made.
    """
    count = 0
    while _due(timezone.now()).exists():
        count += _release_some(held)
    return count


def _due(now: datetime) -> QuerySet[Notification]:
    return Notification.objects.filter(state=_State.HELD, next_at__lte=now)


@transaction.atomic
def _release_some(held: Held) -> int:
    leases.fence(held)
    now = timezone.now()
    due = _due(now)
    gone = due.filter(channel=None).update(state=_State.CANCELLED, last_error=GONE)
    first = list(due.order_by("next_at", "pk")[:BATCH].values_list("channel", "recipient"))
    # Whoever is among them gets all that is due at once.
    rows = (
        due.filter(
            channel__in={channel for channel, _ in first},
            recipient__in={recipient for _, recipient in first},
        )
        .select_related("channel")
        .defer("channel__config")
        .order_by("pk")
        .select_for_update(of=("self",))
    )
    by_target: dict[tuple[object, str], list[Notification]] = defaultdict(list)
    waiting = list(rows)
    left = _readdress(waiting)
    for row in waiting:
        if row.pk in left:
            continue
        by_target[row.channel_id, row.recipient].append(row)
    for some in by_target.values():
        channel = some[0].channel
        if len(some) == 1 or channel is None or channel.kind in NOT_FOR:
            _let_go(some, now)
        else:
            _join(some, now)
    return gone + len(left) + sum(map(len, by_target.values()))


def _readdress(rows: Sequence[Notification]) -> set[int]:
    """Take people's addresses as they are now; return what is cancelled, since there is none."""
    ways = ways_of({row.user_id for row in rows if row.user_id is not None})
    left = set()
    for row in rows:
        if row.user_id is None or row.channel_id is None:
            continue
        way = ways.get((row.user_id, row.channel_id))
        if way is None:
            left.add(row.pk)
        elif way.recipient != row.recipient:
            row.recipient = way.recipient
            row.save(update_fields=["recipient"])
    Notification.objects.filter(pk__in=left).update(state=_State.CANCELLED, last_error=LEFT)
    return left


def _let_go(rows: Sequence[Notification], now: datetime) -> None:
    Notification.objects.filter(state=_State.HELD, pk__in=[row.pk for row in rows]).update(
        state=_State.PENDING, next_at=now, expires_at=now + LIFETIME
    )


def _join(rows: Sequence[Notification], now: datetime) -> None:
    """Make one message of many, the newest first."""
    newest = rows[-1]
    messages = [Message.from_payload(row.payload) for row in reversed(rows)]
    severity = grouping.worst(message.severity for message in messages)
    # Of each thread, its newest message says how it stands.
    last = {message.thread: message for message in reversed(messages)}
    firing = sum(message.status == Event.Status.FIRING for message in last.values())
    resolved = sum(message.status == Event.Status.RESOLVED for message in last.values())
    thread = uuid.uuid4().hex
    snapshot = Message(
        kind=KIND,
        severity=severity,
        status=_status(firing, resolved),
        title=f"{len(rows)} messages of your quiet hours",
        body="",
        service="",
        labels={},
        links={},
        dedup_key=thread,
        seq=1,
        occurred_at=now.isoformat(timespec="microseconds"),
        reason=Notification.Reason.DIGEST,
        thread=thread,
        alerts=[_alert(message) for message in messages[:MOST_ALERTS]],
        firing=firing,
        resolved=resolved,
        note=_note(firing, resolved),
    )
    digest = Notification.objects.create(
        event=newest.event,
        user_id=newest.user_id,
        channel=newest.channel,
        channel_name=newest.channel_name,
        recipient=newest.recipient,
        thread_key=f"digest:{thread}",
        seq=1,
        severity=severity,
        priority=priority_of(severity),
        reason=Notification.Reason.DIGEST,
        title=snapshot.title,
        payload=snapshot.to_payload(),
        idempotency_key=idempotency_key(thread, newest.recipient),
        created_at=now,
        next_at=now,
        expires_at=now + LIFETIME,
    )
    Notification.objects.filter(state=_State.HELD, pk__in=[row.pk for row in rows]).update(
        state=_State.SUPERSEDED, superseded_by=digest, last_error=IN_DIGEST
    )


def _status(firing: int, resolved: int) -> str:
    if firing:
        return Event.Status.FIRING
    return Event.Status.RESOLVED if resolved else Event.Status.INFO


def _note(firing: int, resolved: int) -> str:
    return f"{firing} still hold, {resolved} are over." if firing or resolved else ""


def _alert(message: Message) -> dict[str, str]:
    note = f" ({message.note.rstrip('.')})" if message.note else ""
    return {
        "title": f"{message.title}{note}",
        "severity": message.severity,
        "status": message.status,
        "service": message.service,
        "since": message.occurred_at,
        "url": message.links.get("incident") or next(iter(message.links.values()), ""),
    }
