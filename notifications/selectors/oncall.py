"""Who is on call: now, in a week, and when nobody is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.utils import timezone

from notifications.engine.weeks import Override, Slot, Stretch, midnight, monday, stretches, who_at
from notifications.models import OnCallOverride, OnCallSchedule, OnCallSlot

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from accounts.models import User

WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Shift:
    """When a person is on call, in the time zone of the schedule."""

    schedule: OnCallSchedule
    starts: datetime
    ends: datetime
    is_now: bool

    @property
    def words(self) -> str:
        """Return when it is, in words."""
        until = f"until {self.ends:%a %d %b %H:%M}"
        when = "Now, " if self.is_now else f"From {self.starts:%a %d %b %H:%M} "
        return f"{when}{until} ({self.schedule.time_zone})"


def zone_of(schedule: OnCallSchedule) -> ZoneInfo:
    """Return the time zone of a schedule; UTC for one that this machine does not know."""
    try:
        return ZoneInfo(schedule.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def who(schedule_id: int, at: datetime) -> User | None:
    """Return who is on call at a moment; None in a gap, or when there is no such schedule."""
    schedule = OnCallSchedule.objects.filter(pk=schedule_id).first()
    if schedule is None:
        return None
    user_id = who_at(
        _slots(schedule), _overrides(schedule, at, at + _MOMENT), zone_of(schedule), at
    )
    if user_id is None:
        return None
    person: User | None = get_user_model().objects.filter(pk=user_id).first()
    return person


def between(schedule: OnCallSchedule, start: datetime, end: datetime) -> list[Stretch[UUID]]:
    """Return who is on call from one moment to another, without a hole; None stands for nobody."""
    return stretches(
        _slots(schedule), _overrides(schedule, start, end), zone_of(schedule), start, end
    )


def week(schedule: OnCallSchedule, start: date) -> list[Stretch[UUID]]:
    """Return who is on call in the week of a day, from Monday's midnight in its time zone."""
    zone = zone_of(schedule)
    first = monday(start)
    return between(schedule, midnight(first, zone), midnight(first + WEEK, zone))


def gaps(
    schedule: OnCallSchedule, start: datetime | None = None, length: timedelta = WEEK
) -> list[Stretch[UUID]]:
    """Return when nobody is on call within a week from now, or from a given moment."""
    begins = start or timezone.now()
    found = between(schedule, begins, (begins + length).astimezone(UTC))
    active = set(
        get_user_model()
        .objects.filter(pk__in={piece.who for piece in found if piece.who}, is_active=True)
        .values_list("pk", flat=True)
    )
    return [piece for piece in found if piece.who not in active]


def told(gap: Stretch[UUID], zone: ZoneInfo, now: datetime) -> str:
    """Return when nobody is on call, in words; what holds now did not begin with this look."""
    start, end = gap.starts.astimezone(zone), gap.ends.astimezone(zone)
    until = "" if gap.ends >= now + WEEK else f"{end:%a %d %b %H:%M}"
    if gap.starts <= now:
        return f"now, until {until}" if until else "now, and for the next 7 days"
    return f"{start:%a %d %b %H:%M} to {until}" if until else f"from {start:%a %d %b %H:%M} on"


def shifts_of(user_id: UUID, now: datetime) -> list[Shift]:
    """Return the present or next shift of a person in each schedule, within four weeks."""
    named = Q(slots__user=user_id) | Q(overrides__user=user_id, overrides__ends_at__gt=now)
    found = []
    for schedule in OnCallSchedule.objects.filter(named).distinct().order_by("name"):
        own = [piece for piece in between(schedule, now, now + 4 * WEEK) if piece.who == user_id]
        if own:
            zone = zone_of(schedule)
            start, end = own[0].starts.astimezone(zone), own[0].ends.astimezone(zone)
            # What is two pieces is one shift where one ends as the other begins.
            for piece in own[1:]:
                if piece.starts > end:
                    break
                end = piece.ends.astimezone(zone)
            found.append(Shift(schedule, start, end, own[0].starts <= now))
    return sorted(found, key=lambda shift: shift.starts)


_MOMENT: Final = timedelta(microseconds=1)


def _slots(schedule: OnCallSchedule) -> list[Slot[UUID]]:
    rows = OnCallSlot.objects.filter(schedule=schedule).order_by("weekday", "starts", "pk")
    return [
        Slot(weekday, starts, ends, user_id)
        for weekday, starts, ends, user_id in rows.values_list(
            "weekday", "starts", "ends", "user_id"
        )
    ]


def _overrides(schedule: OnCallSchedule, start: datetime, end: datetime) -> list[Override[UUID]]:
    rows = OnCallOverride.objects.filter(schedule=schedule, ends_at__gt=start, starts_at__lt=end)
    # The newest entry counts where two stand in at once.
    return [
        Override(starts, ends, user_id)
        for starts, ends, user_id in rows.order_by("pk").values_list(
            "starts_at", "ends_at", "user_id"
        )
    ]
