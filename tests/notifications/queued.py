"""Messages as they lie in the outbox, written without anybody's routing."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from notifications.engine.base import Message
from notifications.models import Notification
from notifications.models.notifications import LIFETIME

if TYPE_CHECKING:
    from notifications.models import Channel

_numbers = itertools.count(1)


def queue(channel: Channel | None, count: int = 1, **fields: Any) -> list[Notification]:
    """Put messages into the outbox, each of a thread of its own unless `thread_key` names one."""
    rows = [_row(channel, next(_numbers), fields) for _ in range(count)]
    return Notification.objects.bulk_create(rows, batch_size=1_000)


def queue_one(channel: Channel | None, **fields: Any) -> Notification:
    """Put one message into the outbox."""
    return queue(channel, **fields)[0]


def _row(channel: Channel | None, number: int, fields: dict[str, Any]) -> Notification:
    now = timezone.now()
    severity = fields.get("severity", "critical")
    payload = Message(
        kind="check.down",
        severity=severity,
        status="firing",
        title=f"shop {number} is down",
        body="HTTP 500",
        service="shop",
        labels={},
        links={},
        dedup_key=f"check:{number}",
        seq=1,
        occurred_at=now.isoformat(),
        reason="first",
    )
    row: dict[str, Any] = {
        "channel": channel,
        "channel_name": channel.name if channel else "",
        "thread_key": f"thread:{number}",
        "seq": 1,
        "severity": severity,
        "priority": {"critical": 0, "warning": 10, "info": 20}[severity],
        "reason": "first",
        "title": payload.title,
        "payload": payload.to_payload(),
        "idempotency_key": f"key-{number}",
        "expires_at": now + LIFETIME,
        "next_at": now,
    }
    return Notification(**row | fields)
