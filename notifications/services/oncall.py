"""On call is set up: a week of slots, and who stands in."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypedDict

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import changes, record
from core.errors import ForbiddenError, InvalidInputError, InvalidTransitionError, NotFoundError
from notifications.engine import zones
from notifications.engine.base import single_line, storable
from notifications.models import EscalationStep, OnCallOverride, OnCallSchedule, OnCallSlot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, time
    from uuid import UUID

    from core.actors import Actor

MOST_SLOTS: Final = 100
LONGEST_NAME: Final = 100
LONGEST_REASON: Final = 200
LONGEST_OVERRIDE: Final = timedelta(days=60)
_UNUSABLE: Final = "The schedule cannot be set up like this."
_UNUSABLE_OVERRIDE: Final = "Nobody can stand in like this."


class SlotFields(TypedDict):
    """Hours of one weekday, Monday is 0; an end at or before the start lies on the next day."""

    weekday: int
    starts: time
    ends: time
    user: UUID


@audited
def create(
    *, actor: Actor, name: str, slots: Sequence[SlotFields], time_zone: str = "UTC"
) -> OnCallSchedule:
    """Add a schedule; raises InvalidInputError, with errors per slot, such as `slots.2`."""
    schedule = OnCallSchedule(name=_judged(name, time_zone, slots), time_zone=time_zone)
    _save(schedule)
    _write(schedule, slots)
    record(actor=actor, action="oncall.created", target=schedule, after=shown(schedule))
    return schedule


@audited
def update(
    *, actor: Actor, schedule_id: int, name: str, slots: Sequence[SlotFields], time_zone: str
) -> OnCallSchedule:
    """Change a schedule and all of its slots; who stands in goes on standing in."""
    schedule = _locked(schedule_id)
    before = shown(schedule)
    schedule.name, schedule.time_zone = _judged(name, time_zone, slots), time_zone
    _save(schedule)
    schedule.slots.all().delete()
    _write(schedule, slots)
    old, new = changes(before, shown(schedule))
    record(actor=actor, action="oncall.updated", target=schedule, before=old, after=new)
    return schedule


@audited
def delete(*, actor: Actor, schedule_id: int) -> None:
    """Delete a schedule that no escalation names."""
    schedule = _locked(schedule_id)
    steps = EscalationStep.objects.filter(schedules=schedule).order_by("chain__name")
    if names := list(steps.values_list("chain__name", flat=True).distinct()[:5]):
        message = f"An escalation names it: {', '.join(names)}. Take it out there first."
        raise InvalidTransitionError(message)
    record(actor=actor, action="oncall.deleted", target=schedule, before=shown(schedule))
    schedule.delete()


@audited
def stand_in(
    *,
    actor: Actor,
    schedule_id: int,
    user_id: UUID,
    starts_at: datetime,
    ends_at: datetime,
    reason: str = "",
) -> OnCallOverride:
    """Put somebody on call between two moments, whatever the week says.

    Of two who stand in at once the later entry counts. Who was on call until now stays so.
    """
    schedule = _locked(schedule_id)
    starts_at = max(starts_at, timezone.now())
    person = get_user_model().objects.filter(pk=user_id, is_active=True).first()
    errors: dict[str, list[str]] = {}
    if person is None:
        errors["user"] = ["There is no such active person."]
    if ends_at <= timezone.now():
        errors["ends_at"] = ["This is over already."]
    elif ends_at <= starts_at:
        errors["ends_at"] = ["It ends before it begins."]
    elif ends_at - starts_at > LONGEST_OVERRIDE:
        errors["ends_at"] = [f"At most {LONGEST_OVERRIDE.days} days; change the week for more."]
    text = single_line(storable(reason, limit=LONGEST_REASON * 4), limit=LONGEST_REASON * 4)
    if len(text) > LONGEST_REASON:
        errors["reason"] = [f"At most {LONGEST_REASON} characters."]
    if errors or person is None:
        raise InvalidInputError(_UNUSABLE_OVERRIDE, errors=errors)
    override = OnCallOverride.objects.create(
        schedule=schedule,
        user=person,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=text,
        author=actor.name[:200],
    )
    record(
        actor=actor,
        action="oncall.override_added",
        target=schedule,
        reason=text,
        person=person.get_username(),
        starts_at=starts_at.isoformat(),
        ends_at=ends_at.isoformat(),
    )
    return override


@audited
def end_override(*, actor: Actor, override_id: int, of_others: bool = False) -> OnCallOverride:
    """Take an override back; what of it has passed stays as it was.

    Raises ForbiddenError for an entry that is not the actor's own, unless `of_others` is allowed.
    """
    override = (
        OnCallOverride.objects.select_for_update(of=("self",))
        .select_related("schedule", "user")
        .filter(pk=override_id)
        .first()
    )
    if override is None:
        message = "There is no such entry; perhaps somebody has removed it."
        raise NotFoundError(message)
    if not of_others and not is_own(override, actor):
        message = "You may end your own entries; who changes schedules may end any."
        raise ForbiddenError(message)
    now = timezone.now()
    if override.ends_at <= now:
        message = "It is over already."
        raise InvalidTransitionError(message)
    record(
        actor=actor,
        action="oncall.override_ended",
        target=override.schedule,
        person=override.user.get_username(),
        starts_at=override.starts_at.isoformat(),
        ends_at=override.ends_at.isoformat(),
    )
    if override.starts_at < now:
        override.ends_at = now
        override.save(update_fields=["ends_at"])
    else:
        override.delete()
    return override


def is_own(override: OnCallOverride, actor: Actor) -> bool:
    """Tell whether somebody stands in by an entry of their own."""
    return override.user_id == actor.user_id and override.author == actor.name[:200]


def shown(schedule: OnCallSchedule) -> dict[str, object]:
    """Return a schedule as the audit log tells it."""
    rows = schedule.slots.select_related("user").order_by("weekday", "starts", "pk")
    slots = [f"{slot}: {slot.user}" for slot in rows]
    return {"name": schedule.name, "time_zone": schedule.time_zone, "slots": slots}


def _judged(name: str, time_zone: str, slots: Sequence[SlotFields]) -> str:
    errors: dict[str, list[str]] = {}
    line = single_line(storable(name, limit=LONGEST_NAME * 4), limit=LONGEST_NAME * 4)
    if not 0 < len(line) <= LONGEST_NAME:
        errors["name"] = [f"A name has 1 to {LONGEST_NAME} characters."]
    if time_zone not in zones.known():
        errors["time_zone"] = ["Name a time zone such as Europe/Vienna, or UTC."]
    if len(slots) > MOST_SLOTS:
        errors["slots"] = [f"A week has at most {MOST_SLOTS} slots."]
    wanted = {slot["user"] for slot in slots}
    people = get_user_model().objects.filter(pk__in=wanted, is_active=True)
    known = set(people.values_list("pk", flat=True))
    for number, slot in enumerate(slots[:MOST_SLOTS], start=1):
        if slot["weekday"] not in OnCallSlot.Weekday.values:
            errors[f"slots.{number}"] = [
                f"Slot {number}: a weekday is a number from 0, Monday, to 6, Sunday."
            ]
        elif slot["user"] not in known:
            errors[f"slots.{number}"] = [f"Slot {number}: there is no such active person."]
    if errors:
        raise InvalidInputError(_UNUSABLE, errors=errors)
    return line


def _write(schedule: OnCallSchedule, slots: Sequence[SlotFields]) -> None:
    OnCallSlot.objects.bulk_create(
        OnCallSlot(
            schedule=schedule,
            weekday=slot["weekday"],
            starts=slot["starts"],
            ends=slot["ends"],
            user_id=slot["user"],
        )
        for slot in slots
    )


def _save(schedule: OnCallSchedule) -> None:
    try:
        with transaction.atomic():
            schedule.save()
    except IntegrityError:
        message = "There is a schedule of this name."
        raise InvalidInputError(_UNUSABLE, errors={"name": [message]}) from None


def _locked(schedule_id: int) -> OnCallSchedule:
    schedule = OnCallSchedule.objects.select_for_update().filter(pk=schedule_id).first()
    if schedule is None:
        message = "There is no such schedule."
        raise NotFoundError(message)
    return schedule
