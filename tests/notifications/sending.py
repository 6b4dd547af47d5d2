"""Short ways to send one message through a channel, without the outbox around it."""

from __future__ import annotations

import asyncio
from typing import Any

from django.utils import timezone

from core.actors import SYSTEM
from notifications.engine.base import Message, Outcome
from notifications.models import Channel, Notification
from notifications.services import channels, senders

LONG = "\n".join(f'{number}: <b>&"quoted" *bold* _x_ ü' for number in range(2_000))


def message(**changes: Any) -> Message:
    """Return an alert with everything in it."""
    told: dict[str, Any] = {
        "kind": "reliability.check_down",
        "severity": "critical",
        "status": "firing",
        "title": "shop is down",
        "body": "HTTP 500 for 3 minutes",
        "service": "shop",
        "labels": {"region": "eu"},
        "links": {"Incident": "https://ops.example.com/i/1?a=1&b=2"},
        "dedup_key": "check:1",
        "seq": 1,
        "occurred_at": "2026-11-20T11:59:00.000000+00:00",
        "reason": "first",
    }
    return Message(**told | changes)


def made(kind: str, config: dict[str, Any], **settings: Any) -> Channel:
    """Add a channel of a kind."""
    settings.setdefault("name", f"my {kind}")
    return channels.create(actor=SYSTEM, kind=kind, config=config, **settings).channel


def send(channel: Channel, told: Message | None = None, **row: Any) -> Outcome:
    """Send a message through the channel's own sender and return how it ended."""
    told = told or message()
    notification = Notification(
        channel=channel,
        thread_key="t",
        seq=1,
        payload=told.to_payload(),
        reason=told.reason,
        idempotency_key="key-1",
        created_at=timezone.now(),
        **row,
    )

    opened = senders.prepare(channel)

    async def run() -> Outcome:
        sender = opened()
        try:
            return await sender.send(notification)
        finally:
            await sender.close()

    return asyncio.run(run())
