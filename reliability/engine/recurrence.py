"""When something comes again: cron expressions and simple rules, on a wall clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
