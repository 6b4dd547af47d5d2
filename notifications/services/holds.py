"""Hold all messages back, as after a restore, and let them go again; both are audited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models.functions import Now
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import record
from core.errors import InvalidTransitionError
from notifications.models import DispatchHold, Notification
from notifications.models.notifications import LIFETIME

if TYPE_CHECKING:
    from core.actors import Actor

_WAITING = (Notification.State.PENDING, Notification.State.HELD)


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

    With `cancel_old` those are cancelled, otherwise they go out with a new lifetime: the time that
    they were held does not count. Raises InvalidTransitionError if there is no hold.
    """
    hold = DispatchHold.objects.select_for_update().first()
    if hold is None:
        message = "Messages are not held back; there is nothing to release."
        raise InvalidTransitionError(message)
    waiting = Notification.objects.filter(state__in=_WAITING)
    old = waiting.filter(created_at__lt=hold.since)
    if cancel_old:
        count = old.update(
            state=Notification.State.CANCELLED,
            lease_until=None,
            lease_token=None,
            last_error=f"From before the restore; cancelled by {actor.name}"[:300],
        )
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
