"""Remove what has grown old: messages, their attempts, alerts and threads that are over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from notifications.models import DeliveryAttempt, Event, Group, GroupMember, Notification

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

_AT_ONCE: Final = 1_000
_WAITING: Final = (Notification.State.PENDING, Notification.State.HELD)


def remove_old(*, now: datetime | None = None) -> dict[str, int]:
    """Remove what is too old, in short statements; return how many rows of what.

    What may still be sent stays, and so does what a later message repeats. Threads go once they
    have been closed for as long; silences, routes and what people did stay for ever.
    """
    now = now or timezone.now()
    limit = now - timedelta(days=settings.OPS_MESSAGES_DAYS)
    return {
        "attempts": _attempts(now - timedelta(days=settings.OPS_ATTEMPTS_DAYS)),
        "messages": _messages(limit),
        "threads": _remove(Group.objects.filter(closed_at__lt=limit)),
        "alerts": _events(limit),
    }


def _attempts(limit: datetime) -> int:
    """Remove attempts from the oldest on: their numbers rise with time, which needs no index."""
    removed = 0
    while True:
        oldest = DeliveryAttempt.objects.order_by("pk").values_list("pk", "started_at")[:_AT_ONCE]
        old = [pk for pk, started_at in oldest if started_at < limit]
        if not old:
            return removed
        removed += DeliveryAttempt.objects.filter(pk__in=old).delete()[0]


def _messages(limit: datetime) -> int:
    """Remove messages that have ended; a resend goes before what it repeats."""
    old = Notification.objects.filter(created_at__lt=limit).exclude(state__in=_WAITING)
    removed = 0
    while found := _remove_messages(old):
        removed += found
    return removed


def _remove_messages(old: QuerySet[Notification]) -> int:
    repeated = Notification.objects.filter(original=OuterRef("pk"))
    rows = old.filter(~Exists(repeated)).order_by("created_at")
    removed = 0
    while keys := list(rows.values_list("pk", flat=True)[:_AT_ONCE]):
        removed += _count(Notification.objects.filter(pk__in=keys))
    return removed


def _events(limit: datetime) -> int:
    """Remove routed alerts that no message and no open thread quotes any more.

    They are looked through by number, which rises with time.
    """
    removed, after = 0, 0
    while True:
        rows = Event.objects.filter(pk__gt=after).order_by("pk")[:_AT_ONCE]
        found = [pk for pk, at in rows.values_list("pk", "created_at") if at < limit]
        if not found:
            return removed
        after = found[-1]
        removed += _count(
            Event.objects.filter(
                ~Exists(Notification.objects.filter(event=OuterRef("pk"))),
                ~Exists(GroupMember.objects.filter(event=OuterRef("pk"))),
                pk__in=found,
                routed_at__isnull=False,
            )
        )


def _remove(rows: QuerySet[Any]) -> int:
    removed = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE]):
        removed += _count(rows.model._default_manager.filter(pk__in=keys))  # noqa: SLF001  # Django's public name of the manager
    return removed


def _count(rows: QuerySet[Any]) -> int:
    """Remove rows with all that hangs on them; return how many of their own kind went."""
    _, by_kind = rows.delete()
    return by_kind.get(rows.model._meta.label, 0)  # Django's public name of the options
