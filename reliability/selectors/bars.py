"""Histories in the words and bars that pages show."""

from __future__ import annotations

import itertools
from math import floor
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from core.charts import Bar, Shade, StatusBar
from reliability.engine.history import Stood, micros, moment

if TYPE_CHECKING:
    from datetime import datetime

    from reliability.engine.history import Bucket, History, Shares

_SHADES: Final = {
    Stood.UP: Shade.OK,
    Stood.DEGRADED: Shade.WARN,
    Stood.DOWN: Shade.BAD,
    Stood.UNKNOWN: Shade.UNKNOWN,
    Stood.MAINTENANCE: Shade.NONE,
    Stood.PAUSED: Shade.NONE,
    Stood.ABSENT: Shade.NONE,
}
_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND


def bar_of(found: History, window: str, *, small: bool = False) -> StatusBar:
    """Return a history as bars, with its figures in words; in a small one no bar has its own."""
    return StatusBar(
        bars=[
            Bar(_SHADES[bucket.shares.worst], "" if small else _told(bucket))
            for bucket in found.buckets
        ],
        label=f"Last {words(window)}: {summary(found.total)}",
        begin=f"{words(window)} ago",
        end="now",
    )


def words(window: str) -> str:
    """Return a window such as 24h as people write it."""
    return f"{window[:-1]} {'hours' if window.endswith('h') else 'days'}"


def percent(share: float | None) -> str:
    """Return a share in percent, cut and not rounded: what failed once never reads 100 %."""
    if share is None:
        return "-"
    if share >= 1:
        return "100 %"
    cut = floor(share * 100_000) / 1000
    return f"{cut:.3f} %" if cut >= 99.9 else f"{floor(share * 10_000) / 100:.2f} %"  # noqa: PLR2004  # three nines need a third digit


def availability(total: Shares) -> str:
    """Return the availability in words; with too little known it says so."""
    if total.availability is None:
        return "no data"
    return percent(total.availability) if total.is_covered else "too little data"


def summary(total: Shares) -> str:
    """Return availability, time down and coverage as a sentence."""
    if total.availability is None:
        return "no data"
    parts = [f"{availability(total)} available" if total.is_covered else "too little data"]
    if total.down:
        parts.append(f"{span(total.down)} down")
    if total.degraded:
        parts.append(f"{span(total.degraded)} degraded")
    if total.unknown >= _SECOND:
        parts.append(f"{span(total.unknown)} unknown")
    if total.maintenance >= _SECOND:
        parts.append(f"{span(total.maintenance)} of maintenance")
    return ", ".join(parts)


def span(length: int) -> str:
    """Return a duration in its two largest units."""
    seconds = max(round(length / _SECOND), 1 if length > 0 else 0)
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    for (name, size), (smaller, part) in itertools.pairwise(units):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {name}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def age(since: datetime) -> str:
    """Return for how long something holds, in its largest unit."""
    held = span(micros(timezone.now()) - micros(since))
    return " ".join(held.split(" ")[:2])


def _told(bucket: Bucket) -> str:
    start, end = moment(bucket.start), moment(bucket.end)
    is_day = bucket.end - bucket.start >= _DAY
    times = (
        f"{start:%d %b} to {end:%d %b %H:%M}" if is_day else f"{start:%d %b %H:%M} to {end:%H:%M}"
    )
    worst = bucket.shares.worst
    if worst is Stood.ABSENT:
        return f"{times} UTC: not watched yet"
    if worst is Stood.MAINTENANCE:
        return f"{times} UTC: maintenance"
    if worst is Stood.PAUSED:
        return f"{times} UTC: switched off"
    return f"{times} UTC: {summary(bucket.shares)}"
