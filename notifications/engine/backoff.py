"""When to try again after a failed attempt."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from random import Random
from typing import Final

FLOOR_SECONDS: Final = 5.0
CEILING_SECONDS: Final = 15 * 60.0
LONGEST_RETRY_AFTER_SECONDS: Final = 24 * 3600.0
# The last attempt comes this long before a message expires.
LAST_CALL_SECONDS: Final = 60.0

_SECONDS = re.compile(r"[0-9]{1,9}")


def jitter(*, previous_seconds: float, random: Random) -> float:
    """Draw the seconds to wait, given the last draw: decorrelated jitter.

    It spreads the retries of many messages that failed together, so that a receiver that comes back
    is not overrun at one instant.
    """
    top = max(FLOOR_SECONDS, previous_seconds) * 3
    return min(CEILING_SECONDS, random.uniform(FLOOR_SECONDS, top))


def heeded(retry_after_seconds: float | None, *, is_critical: bool) -> float:
    """Return how long to wait because the receiver asked for it.

    A critical message, and the end of the alarm behind it, must not wait for a day.
    """
    longest = CEILING_SECONDS if is_critical else LONGEST_RETRY_AFTER_SECONDS
    return min(retry_after_seconds or 0.0, longest)


def next_try(*, now: datetime, wait_seconds: float, expires_at: datetime) -> datetime:
    """Return when to try again: never so late that the message would expire untried."""
    wanted = now + timedelta(seconds=wait_seconds)
    last_call = expires_at - timedelta(seconds=LAST_CALL_SECONDS)
    if wanted <= last_call:
        return wanted
    return last_call if last_call > now else expires_at


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Read seconds or an HTTP date; anything else, or the past, is ignored."""
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        seconds = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            # An HTTP date is always GMT; "-0000" parses as a naive one.
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    if seconds <= 0:
        return None
    return min(seconds, LONGEST_RETRY_AFTER_SECONDS)
