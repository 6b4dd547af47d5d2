"""Short ways to look at threads, and to let time pass."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import F

from core.actors import SYSTEM
from notifications.models import Group, GroupMember, Notification, Route
from notifications.services import routes
from tests.notifications.conftest import raise_alert, route_all

if TYPE_CHECKING:
    from notifications.models import Channel


def make_route(*channels: Channel, **fields: Any) -> Route:
    """Add a route that takes every alert of the service shop, unless told otherwise."""
    given: dict[str, Any] = {
        "name": "Shop",
        "matchers": [{"field": "service", "op": "=", "values": ["shop"]}],
        "channels": [channel.pk for channel in channels],
        "group_by": ["service"],
        "group_wait_seconds": 0,
        "group_interval_seconds": 0,
    }
    return routes.create(actor=SYSTEM, **given | fields)


def tell(number: int, status: str = "firing", **changes: Any) -> None:
    """Raise news of an alert and route it."""
    raise_alert(
        dedup_key=f"check:{number}",
        status=status,
        transition_seq=changes.pop("seq", 1 if status == "firing" else 2),
        title=f"check {number} is {'up' if status == 'resolved' else 'down'}",
        **changes,
    )
    route_all()


def pass_time(**length: float) -> None:
    """Let threads and what they hold back be older by so much."""
    by = timedelta(**length)
    Group.objects.update(
        opened_at=F("opened_at") - by,
        flush_at=F("flush_at") - by,
        repeat_at=F("repeat_at") - by,
        last_sent_at=F("last_sent_at") - by,
    )
    GroupMember.objects.update(since=F("since") - by)
    Notification.objects.update(next_at=F("next_at") - by, created_at=F("created_at") - by)


def told() -> list[tuple[str, str, str]]:
    """Return reason, title and state of each message, the oldest first."""
    rows = Notification.objects.order_by("pk").values_list("reason", "title", "state")
    return list(rows)


def mark_sent() -> None:
    """Let everything that is pending have left."""
    Notification.objects.pending().update(state="sent", sent_at=F("created_at"), attempts=1)
