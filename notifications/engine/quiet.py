"""Quiet hours: when somebody does not want to be told, in their own time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

LONGEST: Final = timedelta(hours=24)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of the day to another; an end at or before the start is on the next day.

    `days` are the weekdays on which they begin, Monday is 0; empty means every day.
    """

    start: time
    end: time
    days: Collection[int] = ()
    zone: str = "UTC"

    def ends_after(self, moment: datetime) -> datetime | None:
        """Return when the quiet hours around a moment end, at most a day on; None outside them."""
        zone = _zone(self.zone)
        today = moment.astimezone(zone).date()
        ends = [
            ends
            for day in (today - _DAY, today)
            for starts, ends in [self._of(day, zone)]
            if (not self.days or day.weekday() in self.days) and starts <= moment < ends
        ]
        return min(max(ends), moment + LONGEST) if ends else None

    def _of(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
        last = day if self.end > self.start else day + _DAY
        # In UTC: what the clocks of the zone skip or repeat is then counted as it passes.
        begins = datetime.combine(day, self.start, tzinfo=zone).astimezone(UTC)
        # Of an hour that comes twice, the second ends the quiet.
        ends = datetime.combine(last, self.end, tzinfo=zone).replace(fold=1).astimezone(UTC)
        return begins, ends


def hours_of(
    start: time | None, end: time | None, days: Collection[int], zone: str
) -> QuietHours | None:
    """Return quiet hours as a row keeps them; None if it has none."""
    if start is None or end is None:
        return None
    return QuietHours(start, end, tuple(days), zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A zone that this machine does not know must not stop a message.
        return ZoneInfo("UTC")
