"""Weeks on call: from hours on the clock of a time zone to stretches of real time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

Who = TypeVar("Who")
Who_co = TypeVar("Who_co", covariant=True)

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Slot(Generic[Who_co]):
    """Hours of one weekday; an end at or before the start lies on the next day."""

    weekday: int
    starts: time
    ends: time
    who: Who_co


@dataclass(frozen=True, slots=True)
class Stretch(Generic[Who_co]):
    """Somebody, or nobody, from one moment up to another."""

    starts: datetime
    ends: datetime
    who: Who_co | None
    is_override: bool = False

    @property
    def seconds(self) -> float:
        """Return how long it is."""
        return (self.ends - self.starts).total_seconds()


@dataclass(frozen=True, slots=True)
class Override(Generic[Who_co]):
    """Somebody stands in; of two at once the later entry in the list counts."""

    starts: datetime
    ends: datetime
    who: Who_co


def stretches(
    slots: Iterable[Slot[Who]],
    overrides: Sequence[Override[Who]],
    zone: ZoneInfo,
    start: datetime,
    end: datetime,
) -> list[Stretch[Who]]:
    """Return who is on call from `start` to `end` without a hole; `who` is None in a gap.

    Hours are those on the wall: across a change of the clocks a slot is an hour longer or shorter.
    Of two slots at once the one that began later counts.
    """
    planned = _planned(slots, zone, start, end)
    edges = {start, end}
    for piece in planned:
        edges |= {piece.starts, piece.ends}
    for override in overrides:
        edges |= {override.starts, override.ends}
    moments = sorted(edge for edge in edges if start <= edge <= end)
    found: list[Stretch[Who]] = []
    for begins, ends in pairwise(moments):
        who, stands_in = _at(begins, planned, overrides)
        last = found[-1] if found else None
        if last is not None and (last.who, last.is_override) == (who, stands_in):
            found[-1] = Stretch(last.starts, ends, who, stands_in)
        else:
            found.append(Stretch(begins, ends, who, stands_in))
    return found


def who_at(
    slots: Iterable[Slot[Who]],
    overrides: Sequence[Override[Who]],
    zone: ZoneInfo,
    moment: datetime,
) -> Who | None:
    """Return who is on call at a moment."""
    planned = _planned(slots, zone, moment, moment + timedelta(microseconds=1))
    return _at(moment, planned, overrides)[0]


def monday(day: date) -> date:
    """Return the first day of the week of a day."""
    return day - timedelta(days=day.weekday())


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the moment at which a day begins in a time zone."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _at(
    moment: datetime, planned: Iterable[Stretch[Who]], overrides: Sequence[Override[Who]]
) -> tuple[Who | None, bool]:
    for override in reversed(overrides):
        if override.starts <= moment < override.ends:
            return override.who, True
    holding = [piece for piece in planned if piece.starts <= moment < piece.ends]
    return (holding[-1].who if holding else None), False


def _planned(
    slots: Iterable[Slot[Who]], zone: ZoneInfo, start: datetime, end: datetime
) -> list[Stretch[Who]]:
    """Return the slots that touch the time, in the order in which they begin."""
    slots = list(slots)
    # A slot of the day before may reach into the time; zones are at most a day apart from UTC.
    day = start.astimezone(zone).date() - 2 * _DAY
    last = end.astimezone(zone).date()
    found = []
    while day <= last:
        for slot in slots:
            if slot.weekday != day.weekday():
                continue
            begins = datetime.combine(day, slot.starts, zone).astimezone(UTC)
            until = day + _DAY if slot.ends <= slot.starts else day
            ends = datetime.combine(until, slot.ends, zone).astimezone(UTC)
            if begins < end and ends > start and begins < ends:
                found.append(Stretch(begins, ends, slot.who))
        day += _DAY
    return sorted(found, key=lambda piece: piece.starts)
