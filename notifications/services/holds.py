"""Hold all messages back, as after a restore, and let them go again; both are audited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import record
from core.errors import InvalidTransitionError
from notifications.models import DispatchHold, Event, Group, GroupMember, Notification
from notifications.models.notifications import LIFETIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.actors import Actor
    from notifications.models.notifications import NotificationQuerySet

CHUNK: Final = 5_000

_WAITING: Final = (Notification.State.PENDING, Notification.State.HELD)


@audited
def place(*, actor: Actor, reason: str) -> DispatchHold:
    """Let no message leave until `release`; alerts are still routed and wait.

    Whoever restores the database calls this before anything else runs on it. A hold that stands
    already stays as it is.
    """
    hold, is_new = DispatchHold.objects.get_or_create(
        pk=1, defaults={"reason": reason[:200], "placed_by": actor.name[:200]}
    )
    if is_new:
        record(actor=actor, action="dispatch.held", target=hold, reason=reason)
    return hold


@audited
def release(*, actor: Actor, cancel_old: bool) -> int:
    """Let messages leave again; return how many from before the hold were cancelled or sent.

    With `cancel_old` those are cancelled, and threads that still fire tell anew how they stand.
    Otherwise they go out with a new lifetime: the time that they were held does not count. Raises
    InvalidTransitionError if there is no hold.
    """
    hold = DispatchHold.objects.select_for_update().first()
    if hold is None:
        message = "Messages are not held back; there is nothing to release."
        raise InvalidTransitionError(message)
    waiting = Notification.objects.filter(state__in=_WAITING)
    old = waiting.filter(created_at__lt=hold.since)
    if cancel_old:
        # The threads before their messages, as everywhere: two orders would make a deadlock.
        threads = _locked_threads(old)
        count = old.update(
            state=Notification.State.CANCELLED,
            lease_until=None,
            lease_token=None,
            last_error=f"From before the restore; cancelled by {actor.name}"[:300],
        )
        for start in range(0, len(threads), CHUNK):
            _tell_anew(threads[start : start + CHUNK])
    else:
        count = old.count()
    waiting.update(expires_at=timezone.now() + LIFETIME)
    Notification.objects.pending().filter(next_at__lt=Now()).update(next_at=Now())
    record(
        actor=actor,
        action="dispatch.released",
        target=hold,
        old="cancelled" if cancel_old else "sent",
        messages=count,
    )
    hold.delete()
    return count


def _locked_threads(old: NotificationQuerySet) -> list[int]:
    """Return the open threads of messages, locked."""
    waiting = Exists(old.filter(group=OuterRef("pk")))
    threads = Group.objects.filter(waiting, closed_at=None).select_for_update().order_by("pk")
    return list(threads.values_list("pk", flat=True))


def _tell_anew(threads: Sequence[int]) -> None:
    """Let threads whose last word was cancelled say what still holds.

    Where nothing has left, nobody has heard of it: then its end alone is told to nobody either.
    """
    left = Q(state=Notification.State.SENT) | Q(attempts__gt=0)
    was_heard = Exists(Notification.objects.filter(left, group=OuterRef("group")))
    members = GroupMember.objects.filter(group__in=threads).exclude(status=Event.Status.INFO)
    members.exclude(was_heard).update(told=GroupMember.Told.NOTHING, told_event_id=0)
    members.filter(was_heard, status=Event.Status.FIRING).update(told_event_id=0)
    firing = GroupMember.objects.filter(group=OuterRef("pk"), status=Event.Status.FIRING)
    groups = Group.objects.filter(Exists(firing), pk__in=threads)
    groups.update(flush_at=timezone.now())
    unheard = ~Exists(Notification.objects.filter(left, group=OuterRef("pk")))
    groups.filter(unheard).update(last_sent_at=None)
