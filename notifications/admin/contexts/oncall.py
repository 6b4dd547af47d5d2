"""What the page of a schedule shows: its week by day, who stands in, and when nobody is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.utils import timezone

from notifications.engine.weeks import midnight, monday
from notifications.selectors import oncall

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID
    from zoneinfo import ZoneInfo

    from accounts.models import User
    from notifications.engine.weeks import Stretch
    from notifications.models import OnCallOverride, OnCallSchedule

WIDTH: Final = 1000
"""How many units of a picture make a day."""

_COLOURS: Final = 6
_DAYS: Final = 7
_DAY: Final = timedelta(days=1)
_SHOWN_GAPS: Final = 5


@dataclass(frozen=True)
class Piece:
    """A part of a day: where it lies in the picture, and in words."""

    x: int
    width: int
    css: str
    text: str
    is_gap: bool


@dataclass(frozen=True)
class Day:
    """One day of the week."""

    title: str
    pieces: list[Piece]
    is_today: bool


def schedule_context(schedule: OnCallSchedule, asked: str) -> dict[str, Any]:
    """Return the week that a date lies in, as text such as 2026-11-16; the present one without."""
    zone = oncall.zone_of(schedule)
    now = timezone.now()
    today = now.astimezone(zone).date()
    first = monday(_date(asked) or today)
    found = oncall.week(schedule, first)
    gaps = oncall.gaps(schedule, now)
    people = _people({piece.who for piece in found if piece.who})
    colours = {
        key: f"who-{number % _COLOURS + 1}"
        for number, key in enumerate(sorted(people, key=lambda key: people[key].username))
    }
    return {
        "week": [
            _day(first + number * _DAY, found, zone, people, colours, today)
            for number in range(_DAYS)
        ],
        "week_title": f"Week of {first:%d %b %Y}",
        "earlier": f"{first - oncall.WEEK:%Y-%m-%d}",
        "later": f"{first + oncall.WEEK:%Y-%m-%d}",
        "is_this_week": first == monday(today),
        "legend": [(colours[key], people[key].username) for key in colours],
        "zone": schedule.time_zone,
        "now": oncall.who(schedule.pk, now),
        "gaps": [oncall.told(gap, zone, now) for gap in gaps[:_SHOWN_GAPS]],
        "more_gaps": max(0, len(gaps) - _SHOWN_GAPS),
        "overrides": _overrides(schedule),
    }


def _date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    # Weeks beside the ends of the calendar cannot be drawn.
    return found if date(1970, 1, 8) <= found <= date(2999, 1, 1) else None


def _day(
    day: date,
    found: list[Stretch[UUID]],
    zone: ZoneInfo,
    people: Mapping[UUID, User],
    colours: Mapping[UUID, str],
    today: date,
) -> Day:
    begins, ends = midnight(day, zone), midnight(day + _DAY, zone)
    length = (ends - begins).total_seconds()
    pieces = []
    for part in found:
        start, end = max(part.starts, begins), min(part.ends, ends)
        if start >= end:
            continue
        person = people.get(part.who) if part.who is not None else None
        is_gap = person is None or not person.is_active
        name = str(person) if person is not None else "nobody"
        if person is not None and is_gap:
            name = f"{person}, who is disabled"
        until = "24:00" if end == ends else f"{end.astimezone(zone):%H:%M}"
        text = f"{start.astimezone(zone):%H:%M} to {until} {name}"
        x = round((start - begins).total_seconds() / length * WIDTH)
        width = round((end - begins).total_seconds() / length * WIDTH) - x
        css = "gap" if is_gap or part.who is None else colours[part.who]
        note = ", standing in" if part.is_override else ""
        pieces.append(Piece(x, width, css, text + note, is_gap))
    return Day(f"{day:%a %d %b}", pieces, day == today)


def _people(keys: set[UUID | None]) -> dict[UUID, User]:
    return get_user_model().objects.in_bulk([key for key in keys if key is not None])


def _overrides(schedule: OnCallSchedule) -> list[OnCallOverride]:
    rows = schedule.overrides.filter(ends_at__gt=timezone.now()).select_related("user")
    return list(rows.order_by("starts_at", "pk")[:50])
