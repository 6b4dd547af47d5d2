"""Whether messages may leave, and how many wait for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Min

from notifications.models import DispatchHold, Notification

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """What would leave if the hold ended: messages from before it, and from after."""

    before: int
    since: int
    oldest_at: datetime | None


def current() -> DispatchHold | None:
    """Return the hold, or None while messages may leave."""
    return DispatchHold.objects.first()


def waiting(hold: DispatchHold) -> Waiting:
    """Count what waits; the older part is what the restored database remembers."""
    rows = Notification.objects.filter(
        state__in=[Notification.State.PENDING, Notification.State.HELD]
    )
    older = rows.filter(created_at__lt=hold.since).aggregate(n=Count("pk"), at=Min("created_at"))
    newer = rows.filter(created_at__gte=hold.since).count()
    return Waiting(before=older["n"], since=newer, oldest_at=older["at"])
