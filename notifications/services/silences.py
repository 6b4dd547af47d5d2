"""Silences: audited times in which nobody is told of alerts that match."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import record
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from notifications.engine import matching
from notifications.engine.base import single_line
from notifications.models import Event, Group, GroupMember, Silence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from core.actors import Actor

LONGEST: Final = timedelta(days=366)
# How old "now" may be by the time a form arrives.
TOLERANCE: Final = timedelta(minutes=5)
COMMENT_CHARACTERS: Final = 300

_UNUSABLE: Final = "The silence cannot be used like this."


@audited
def create(
    *,
    actor: Actor,
    matchers: Sequence[Mapping[str, Any]],
    ends_at: datetime,
    comment: str,
    starts_at: datetime | None = None,
    everything: bool = False,
) -> Silence:
    """Let nobody be told of alerts that match, from now or later until an end.

    One without conditions silences everything, which must be said by `everything`. Critical alerts
    are silenced too. Raises InvalidInputError.
    """
    row = _usable(matchers, starts_at, ends_at, comment, everything=everything)
    row.author = actor.name[:200]
    row.save(force_insert=True)
    record(actor=actor, action="silence.created", target=row, reason=row.comment, after=shown(row))
    return row


@audited
def replace(
    *,
    actor: Actor,
    silence_id: int,
    matchers: Sequence[Mapping[str, Any]],
    ends_at: datetime,
    comment: str,
    starts_at: datetime | None = None,
    everything: bool = False,
) -> Silence:
    """End a silence and add one in its place, so that what it kept back stays explained."""
    old = _locked(silence_id)
    _refuse_over(old)
    now = timezone.now()
    begins = starts_at
    if begins is not None and begins == old.starts_at and begins < now:
        # It has begun; what replaces it goes on from here.
        begins = None
    row = _usable(matchers, begins, ends_at, comment, everything=everything)
    row.author = actor.name[:200]
    row.replaces = old
    _end(old, actor, now)
    row.save(force_insert=True)
    _look_again(now)
    record(
        actor=actor,
        action="silence.replaced",
        target=row,
        reason=row.comment,
        before=shown(old),
        after=shown(row),
    )
    return row


@audited
def end(*, actor: Actor, silence_id: int) -> Silence:
    """End a silence now; what it kept back and still holds is told at once."""
    row = _locked(silence_id)
    _refuse_over(row)
    now = timezone.now()
    _end(row, actor, now)
    _look_again(now)
    record(actor=actor, action="silence.ended", target=row)
    return row


def shown(row: Silence) -> dict[str, object]:
    """Return what a silence says, for the audit log."""
    return {
        "matchers": matching.told(matching.parse(row.matchers)),
        "starts_at": row.starts_at.isoformat(timespec="seconds"),
        "ends_at": row.ends_at.isoformat(timespec="seconds"),
        "comment": row.comment,
    }


def _usable(
    matchers: Sequence[Mapping[str, Any]],
    starts_at: datetime | None,
    ends_at: datetime,
    comment: str,
    *,
    everything: bool,
) -> Silence:
    now = timezone.now()
    errors: dict[str, list[str]] = {}
    begins = max(starts_at, now) if starts_at is not None else now
    if starts_at is not None and starts_at < now - TOLERANCE:
        errors["starts_at"] = ["A silence begins now or later: what was told stays told."]
    if ends_at <= begins:
        errors["ends_at"] = ["It ends before it begins, or has ended; choose a later time."]
    elif ends_at - begins > LONGEST:
        errors["ends_at"] = [f"At most {LONGEST.days} days; then somebody must look again."]
    said = single_line(comment, limit=COMMENT_CHARACTERS)
    if not said:
        errors["comment"] = ["Say why, for those who wonder why nobody was told."]
    try:
        found = matching.parse(matchers)
    except InvalidInputError as error:
        errors |= error.errors
    else:
        if not found and not everything:
            told = "Without a condition nobody is told of anything. Add one, or confirm that."
            errors["everything"] = [told]
    if errors:
        raise InvalidInputError(_UNUSABLE, errors=errors)
    kept = [matcher.stored() for matcher in found]
    return Silence(matchers=kept, starts_at=begins, ends_at=ends_at, comment=said)


def _locked(silence_id: int) -> Silence:
    row = Silence.objects.select_for_update().filter(pk=silence_id).first()
    if row is None:
        told = "There is no such silence."
        raise NotFoundError(told)
    return row


def _refuse_over(row: Silence) -> None:
    if row.ended_at is not None or row.ends_at <= timezone.now():
        told = "This silence is over; add another."
        raise InvalidTransitionError(told)


def _end(row: Silence, actor: Actor, now: datetime) -> None:
    row.ended_at = now
    row.ended_by = actor.name[:200]
    row.save(update_fields=["ended_at", "ended_by"])


def _look_again(now: datetime) -> None:
    """Let the router look at what was kept back, instead of when the silence would have ended."""
    waiting = GroupMember.objects.filter(status=Event.Status.FIRING, group__closed_at=None)
    kept = waiting.filter(group__flush_at__gt=now).values("group")
    waiting_groups = Group.objects.filter(Q(flush_at__gt=now), pk__in=kept)
    # In the order in which everybody locks them.
    locked = waiting_groups.select_for_update(no_key=True).order_by("pk")
    Group.objects.filter(pk__in=list(locked.values_list("pk", flat=True))).update(flush_at=now)
