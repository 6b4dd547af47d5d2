"""How many results of some checks were good, bad and slow in any time, at a bounded cost.

What is stored as a whole is added up as a whole: chunks by their counts, whole days by the
histograms of their sums. Only chunks through which an edge goes are unpacked, and of very many
checks an even choice of these.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import connection

from core.histogram import over_in
from reliability.engine.packing import DAY_SECONDS, HOUR_SECONDS, TENTH, columns

if TYPE_CHECKING:
    from collections.abc import Collection

MOST_CUT: Final = 400
"""Of so many checks the chunks at the edges are unpacked; more are taken to be like these."""

_HOUR: Final = timedelta(seconds=HOUR_SECONDS)
_DAY: Final = timedelta(seconds=DAY_SECONDS)

# Names of our own tables and columns, keys as integers, and moments that we write ourselves. What
# has no NULL comes first: PostgreSQL takes the types of the columns from there.
_CUT: Final = """\
SELECT n, bad, 0, starts_at, seconds, CASE WHEN {chosen} THEN data END
FROM reliability_samplechunk AS chunk
WHERE check_id IN ({keys}) AND starts_at > {day_before} AND starts_at < {end}
  AND (seconds = 86400 OR starts_at > {hour_before}) AND {is_cut}"""
_IS_WHOLE: Final = """\
(starts_at >= {start} AND ((seconds = 3600 AND starts_at <= {last_hour})
  OR (seconds = 86400 AND starts_at <= {last_day})))"""
_WHOLE: Final = """\
SELECT COALESCE(SUM(n), 0), COALESCE(SUM(bad), 0), 0, NULL, NULL, NULL
FROM reliability_samplechunk WHERE check_id IN ({keys}) AND {is_whole}"""
_ROWS: Final = """\
SELECT COUNT(*), COALESCE(SUM(CASE WHEN ok THEN 0 ELSE 1 END), 0),
  COALESCE(SUM(CASE WHEN ok AND latency_ms > {threshold} THEN 1 ELSE 0 END), 0), NULL, NULL, NULL
FROM reliability_sample
WHERE check_id IN ({keys}) AND at >= {start} AND at < {end} AND NOT manual"""

# The day in which the end lies is known as a whole too, unless something is packed beyond the end.
_GOES_ON: Final = """\
EXISTS (SELECT 1 FROM reliability_samplechunk AS further
  WHERE further.check_id = {table}.check_id AND further.starts_at >= {end_day}
    AND further.starts_at < {day_after}
    AND (further.starts_at > {last_hour} OR further.seconds = 86400))"""
_DAYS: Final = """\
SELECT n, bad, 0, NULL, NULL, histogram FROM reliability_rollup AS whole
WHERE check_id IN ({keys}) AND starts_at >= {first_day} AND starts_at < {end}
  AND (starts_at <= {last_day} OR NOT {goes_on})"""
_NOT_OF_DAYS: Final = "(starts_at < {first_day} OR (starts_at >= {end_day} AND {goes_on}))"
_AND: Final = "\nUNION ALL\n"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many results of the schedule there were; `slow` ones were good, but above a threshold."""

    n: int
    bad: int
    slow: int
    is_estimate: bool = False
    """Of very many checks, the results in a part of an hour or a day are not all counted."""

    @property
    def good(self) -> int:
        """How many were good, fast or slow."""
        return self.n - self.bad


@dataclass(slots=True)
class _Part:
    """Chunks of one time: all that is in those that were unpacked, and what lies in the window."""

    whole_n: int = 0
    whole_bad: int = 0
    n: int = 0
    bad: int = 0
    slow: int = 0
    closed_n: int = 0
    closed_bad: int = 0

    def estimate(self, share_of_time: float) -> tuple[float, float, float]:
        """Return what lies in the window of those that were not unpacked."""
        share = self.n / self.whole_n if self.whole_n else share_of_time
        share_bad = self.bad / self.whole_bad if self.whole_bad else share
        n, bad = self.closed_n * share, self.closed_bad * share_bad
        good = self.n - self.bad
        return n, bad, (n - bad) * self.slow / good if good else 0.0


def counts(
    check_ids: Collection[int],
    *,
    start: datetime,
    end: datetime,
    threshold_ms: float | None = None,
) -> Counts:
    """Return how many results of the schedule these checks had from `start` until before `end`.

    With a threshold whole days come from their sums, which are kept for ever and tell latencies to
    1 %. One statement reads everything: packing moves results in between.
    """
    if not check_ids or start >= end:
        return Counts(0, 0, 0)
    keys = sorted({int(key) for key in check_ids})
    n = bad = slow = 0
    parts: defaultdict[tuple[datetime, int], _Part] = defaultdict(_Part)
    with connection.cursor() as cursor:
        cursor.execute(_statement(keys, start, end, threshold_ms))
        for row_n, row_bad, row_slow, starts_at, seconds, data in cursor:
            if starts_at is None:
                n, bad, slow = n + int(row_n), bad + int(row_bad), slow + int(row_slow)
                if data is not None and threshold_ms is not None:
                    slow += over_in(bytes(data), threshold_ms)
                continue
            begin = as_moment(starts_at)
            part = parts[begin, seconds]
            if data is None:
                part.closed_n += row_n
                part.closed_bad += row_bad
            else:
                part.whole_n += row_n
                part.whole_bad += row_bad
                _count(part, bytes(data), begin, start, end, threshold_ms)
    return _together(Counts(n, bad, slow), parts, start, end)


def as_moment(value: Any) -> datetime:  # noqa: ANN401  # SQLite keeps times as text
    """Return a moment as the database gives it to whoever asks without Django's columns."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def _statement(keys: list[int], start: datetime, end: datetime, threshold_ms: float | None) -> str:
    end_day, first_day = _day_of(end), _day_of(start)
    first_day += _DAY if first_day < start else timedelta()
    moments = {
        "start": start,
        "end": end,
        "last_hour": end - _HOUR,
        "last_day": end - _DAY,
        "hour_before": start - _HOUR,
        "day_before": start - _DAY,
        "first_day": first_day,
        "end_day": end_day,
        "day_after": end_day + _DAY,
    }
    names = {
        name: f"'{connection.ops.adapt_datetimefield_value(at)}'" for name, at in moments.items()
    }
    is_all = len(keys) <= MOST_CUT
    chosen = keys[:: -(-len(keys) // MOST_CUT)]
    names |= {
        "keys": ",".join(map(str, keys)),
        "chosen": "1 = 1" if is_all else f"check_id IN ({','.join(map(str, chosen))})",
        "threshold": "1e300" if threshold_ms is None else repr(float(threshold_ms)),
    }
    if threshold_ms is None:
        names["is_whole"] = _IS_WHOLE.format(**names)
        names["is_cut"] = f"NOT {names['is_whole']}"
        return _AND.join((_CUT, _WHOLE, _ROWS)).format(**names)
    of_chunks, of_days = (_GOES_ON.format(table=table, **names) for table in ("chunk", "whole"))
    names["is_cut"] = _NOT_OF_DAYS.format(goes_on=of_chunks, **names)
    return _AND.join((_CUT, _DAYS, _ROWS)).format(goes_on=of_days, **names)


def _day_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _count(
    part: _Part,
    data: bytes,
    starts_at: datetime,
    start: datetime,
    end: datetime,
    threshold_ms: float | None,
) -> None:
    """Count what of a chunk lies in the window, run after run."""
    packed = columns(data, with_latencies=threshold_ms is not None)
    low = packed.first_from(-((starts_at - start) // TENTH))
    high = packed.first_from(-((starts_at - end) // TENTH))
    at = 0
    for kind, times in packed.runs:
        first, last = max(at, low), min(at + times, high)
        at += times
        if kind.manual or first >= last:
            continue
        part.n += last - first
        if not kind.ok:
            part.bad += last - first
        elif threshold_ms is not None:
            is_less = float(threshold_ms).__lt__
            part.slow += sum(map(is_less, packed.latencies_ms[first:last]))


def _together(
    known: Counts,
    parts: dict[tuple[datetime, int], _Part],
    start: datetime,
    end: datetime,
) -> Counts:
    n, bad, slow = float(known.n), float(known.bad), float(known.slow)
    is_estimate = False
    for (begin, seconds), part in parts.items():
        n, bad, slow = n + part.n, bad + part.bad, slow + part.slow
        if part.closed_n:
            is_estimate = True
            until = begin + timedelta(seconds=seconds)
            share = (min(until, end) - max(begin, start)).total_seconds() / seconds
            more, more_bad, more_slow = part.estimate(share)
            n, bad, slow = n + more, bad + more_bad, slow + more_slow
    return Counts(round(n), round(bad), round(slow), is_estimate)
