"""When something comes again: cron expressions and simple rules, on a wall clock."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_TIMES: Final = 400
"""How many times are planned at once."""
MOST_STEPS: Final = 20_000
"""How many are looked at: what comes up too rarely must not keep anybody waiting."""

_FIELDS: Final = 5


def check_cron(expression: str) -> None:
    """Raise ValueError, in words for people, for what is no cron expression that comes true."""
    if len(expression.split()) != _FIELDS:
        message = "Give five fields: minute, hour, day, month, weekday."
        raise ValueError(message)
    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        message = f"This is no cron expression: {error}."
        raise ValueError(message) from error
    except StopIteration as error:
        message = "This never comes true."
        raise ValueError(message) from error


def cron_after(expression: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Return the moments (UTC) of a cron expression after one, as the clock of the zone shows."""
    for moment in CronSim(expression, after.astimezone(ZoneInfo(zone))):
        yield moment.astimezone(UTC)


def merged(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return spans in order, with those that touch or overlap made one."""
    whole: list[tuple[datetime, datetime]] = []
    for start, end in sorted(spans):
        if whole and start <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(whole[-1][1], end))
        else:
            whole.append((start, end))
    return whole


@dataclass(frozen=True, slots=True)
class Plan:
    """When something of a certain length comes again, by the clock of a wall.

    `starts_at` is the first time; the others are at the same time of day in the zone. Weekdays
    count from Monday as 0; of the days of a month -1 is the last.
    """

    repeat: str
    starts_at: datetime
    duration: timedelta
    zone: str = "UTC"
    every: int = 1
    weekdays: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    cron: str = ""
    until: datetime | None = None
    count: int | None = None

    def times(self, *, after: datetime, before: datetime) -> list[tuple[datetime, datetime]]:
        """Return the times that begin after a moment and before another, in order.

        At most `MOST_TIMES`: whoever wants more asks again after the last.
        """
        found: list[tuple[datetime, datetime]] = []
        for number, start in enumerate(islice(self._starts(after), MOST_STEPS)):
            is_over = self.until is not None and start > self.until
            if start >= before or is_over or (self.count is not None and number >= self.count):
                break
            if start > after:
                found.append((start, start + self.duration))
                if len(found) == MOST_TIMES:
                    break
        return found

    def _starts(self, after: datetime) -> Iterator[datetime]:
        """Return the moments in order; what is to be counted is counted from the first one."""
        if self.repeat == "once":
            yield self.starts_at
            return
        # An instant before, so that a first time which fits the expression is one.
        begin = self.starts_at - timedelta(microseconds=1)
        if self.repeat == "cron":
            yield from cron_after(self.cron, self.zone, begin if self.count else max(begin, after))
            return
        zone = ZoneInfo(self.zone)
        first = self.starts_at.astimezone(zone)
        skip = first.date() if self.count else max(first.date(), _days_before(after, zone))
        for day in self._days(first.date(), skip):
            moment = datetime.combine(day, first.time(), tzinfo=zone).astimezone(UTC)
            if moment >= self.starts_at:
                yield moment

    def _days(self, first: date, skip: date) -> Iterator[date]:
        """Return the days that come up from `skip` on; `first` anchors every other one."""
        if self.repeat == "daily":
            day = first + timedelta(days=-(-(skip - first).days // self.every) * self.every)
            while day.year < MAXYEAR:
                yield day
                day += timedelta(days=self.every)
        elif self.repeat == "weekly":
            wanted = sorted(self.weekdays) or [first.weekday()]
            monday = first - timedelta(days=first.weekday())
            weeks = max((skip - monday).days, 0) // 7 // self.every * self.every
            monday += timedelta(weeks=weeks)
            while monday.year < MAXYEAR:
                yield from (monday + timedelta(days=day) for day in wanted)
                monday += timedelta(weeks=self.every)
        else:
            wanted = sorted(self.month_days) or [first.day]
            month = first.year * 12 + first.month - 1
            passed = max(skip.year * 12 + skip.month - 1 - month, 0)
            month += passed // self.every * self.every
            while month // 12 < MAXYEAR:
                yield from _of_month(month // 12, month % 12 + 1, wanted)
                month += self.every


def _of_month(year: int, month: int, wanted: list[int]) -> list[date]:
    """Return the days of a month that exist; a month without a 31st has none of it."""
    last = monthrange(year, month)[1]
    numbers = {last if number == -1 else number for number in wanted}
    return [date(year, month, number) for number in sorted(numbers) if number <= last]


def _days_before(after: datetime, zone: ZoneInfo) -> date:
    """Return a day safely before a moment, whatever the offset of the zone did in between."""
    return after.astimezone(zone).date() - timedelta(days=1)
