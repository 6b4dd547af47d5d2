"""Every result that is kept, wherever it is stored: the newest as rows, older ones packed.

Late results may lie in both, at any time of the past. Each reading is one statement, or reads rows
before chunks and drops what it meets twice: packing may move results in between.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from typing import TYPE_CHECKING, Any, Final

from django.db import connection
from django.db.models import Min, OuterRef, Q, QuerySet, Subquery

from reliability.engine.packing import (
    DAY_SECONDS,
    HOUR_SECONDS,
    TENTH,
    Columns,
    Found,
    columns,
    unpack,
)
from reliability.models import Check, Sample, SampleChunk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = [
    "Counts",
    "Found",
    "as_moment",
    "bad_minutes",
    "chunks_within",
    "counts",
    "first_at",
    "key_of",
    "minutes",
    "of_check",
    "packed_of",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_TENTHS: Final = 600
_FOUND: Final = ("at", "ok", "latency_ms", "manual", "status_code", "failure", "detail")
_SECOND: Final = timedelta(seconds=1)
_HOUR: Final = timedelta(seconds=HOUR_SECONDS)
_DAY: Final = timedelta(seconds=DAY_SECONDS)

# Names of our own tables and columns; values are parameters, keys are integers.
_COUNTS: Final = """\
SELECT n, bad, 0, starts_at, data FROM reliability_samplechunk
WHERE check_id IN ({keys}) AND starts_at > {day_before} AND starts_at < {end} AND NOT ({whole})
  AND (seconds = 86400 OR starts_at > {hour_before})
UNION ALL
SELECT COALESCE(SUM(n), 0), COALESCE(SUM(bad), 0), 0, NULL, NULL FROM reliability_samplechunk
WHERE check_id IN ({keys}) AND ({whole})
UNION ALL
SELECT COUNT(*), COALESCE(SUM(CASE WHEN ok THEN 0 ELSE 1 END), 0),
  COALESCE(SUM(CASE WHEN ok AND latency_ms > {threshold} THEN 1 ELSE 0 END), 0), NULL, NULL
FROM reliability_sample
WHERE check_id IN ({keys}) AND at >= {start} AND at < {end} AND NOT manual"""
_WHOLE: Final = """\
starts_at >= {start} AND ((seconds = 3600 AND starts_at <= {last_hour})
  OR (seconds = 86400 AND starts_at <= {last_day}))"""
_NEVER: Final = "1 = 0"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many results of the schedule there were; `slow` ones were good, but above a threshold."""

    n: int
    bad: int
    slow: int

    @property
    def good(self) -> int:
        """How many were good, fast or slow."""
        return self.n - self.bad


def of_check(
    check_id: int, *, start: datetime, end: datetime, newest_first: bool = True
) -> Iterator[Found]:
    """Return the results from `start` until before `end`, those asked for by hand too.

    Chunk after chunk is unpacked while the reader goes on; an endless list costs no memory.
    """
    rows = Sample.objects.filter(check_of=check_id, at__gte=start, at__lt=end)
    order = "-at" if newest_first else "at"
    newest = [Found(*row) for row in rows.order_by(order).values_list(*_FOUND)]
    seen = {key_of(found) for found in newest}
    packed = _packed(check_id, start, end, newest_first=newest_first)
    return merge(
        newest,
        (found for found in packed if not seen or key_of(found) not in seen),
        key=lambda found: found.at,
        reverse=newest_first,
    )


def counts(
    check_ids: Collection[int],
    *,
    start: datetime,
    end: datetime,
    threshold_ms: float | None = None,
) -> Counts:
    """Return how many results of the schedule these checks had from `start` until before `end`.

    Chunks that lie wholly within are not unpacked, unless latencies are asked for.
    """
    if not check_ids or start >= end:
        return Counts(0, 0, 0)
    moments = {
        "start": start,
        "end": end,
        "last_hour": end - _HOUR,
        "last_day": end - _DAY,
        "hour_before": start - _HOUR,
        "day_before": start - _DAY,
    }
    names = {
        name: f"'{connection.ops.adapt_datetimefield_value(at)}'" for name, at in moments.items()
    }
    limit = float("inf") if threshold_ms is None else threshold_ms
    whole = _WHOLE.format(**names) if threshold_ms is None else _NEVER
    n = bad = slow = 0
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNTS.format(
                keys=",".join(map(str, map(int, check_ids))),
                threshold=1e300 if threshold_ms is None else float(threshold_ms),
                whole=whole,
                **names,
            )
        )
        for row_n, row_bad, row_slow, starts_at, data in cursor:
            if data is None:
                n, bad, slow = n + int(row_n), bad + int(row_bad), slow + int(row_slow)
                continue
            part = _count(columns(bytes(data)), as_moment(starts_at), start, end, limit)
            n, bad, slow = n + part.n, bad + part.bad, slow + part.slow
    return Counts(n, bad, slow)


def minutes(
    check_ids: Collection[int], *, start: datetime, end: datetime
) -> dict[int, tuple[int, int]]:
    """Return how many results were good and bad in each minute since 1970 that has any."""
    good: defaultdict[int, int] = defaultdict(int)
    bad: defaultdict[int, int] = defaultdict(int)
    for minute, ok in _by_minute(check_ids, start, end, Q()):
        (good if ok else bad)[minute] += 1
    return {minute: (good[minute], bad[minute]) for minute in sorted(good.keys() | bad.keys())}


def bad_minutes(check_ids: Collection[int], *, start: datetime, end: datetime) -> dict[int, int]:
    """Return how many results failed in each minute since 1970 in which one did.

    Only chunks with failures are read: in good times this costs next to nothing.
    """
    found: defaultdict[int, int] = defaultdict(int)
    for minute, ok in _by_minute(check_ids, start, end, Q(ok=False)):
        if not ok:
            found[minute] += 1
    return dict(sorted(found.items()))


def first_at(check_ids: Collection[int]) -> datetime | None:
    """Return when the oldest result that is kept of any of these checks was found."""
    row = Sample.objects.filter(check_of=OuterRef("pk")).order_by("at")
    chunk = SampleChunk.objects.filter(check_of=OuterRef("pk")).order_by("starts_at")
    # A look at the begin of each check's own stretch of the index, not at all that is kept.
    found = (
        Check.objects.filter(pk__in=check_ids)
        .annotate(row=Subquery(row.values("at")[:1]), chunk=Subquery(chunk.values("starts_at")[:1]))
        .aggregate(oldest_row=Min("row"), oldest_chunk=Min("chunk"))
    )
    moments = [found["oldest_row"]] if found["oldest_row"] else []
    if found["oldest_chunk"]:
        oldest = SampleChunk.objects.filter(check_of__in=check_ids, starts_at=found["oldest_chunk"])
        moments += [
            found["oldest_chunk"] + columns(bytes(data)).tenths[0] * TENTH
            for data in oldest.values_list("data", flat=True)
        ]
    return min(moments, default=None)


def chunks_within(
    check_ids: Collection[int], start: datetime, end: datetime
) -> QuerySet[SampleChunk]:
    """Return the chunks in which results of this time may lie."""
    hours = Q(seconds=HOUR_SECONDS, starts_at__gt=start - _HOUR)
    return SampleChunk.objects.filter(
        hours | Q(seconds=DAY_SECONDS),
        check_of__in=check_ids,
        starts_at__gt=start - _DAY,
        starts_at__lt=end,
    )


def packed_of(
    check_ids: Collection[int], start: datetime, end: datetime
) -> Iterator[tuple[datetime, Columns]]:
    """Return the columns of each chunk of this time with its begin; edges are not cut."""
    found = chunks_within(check_ids, start, end).order_by().values_list("starts_at", "data")
    for starts_at, data in found.iterator(chunk_size=500):
        yield starts_at, columns(bytes(data))


def as_moment(value: Any) -> datetime:  # noqa: ANN401  # SQLite keeps times as text
    """Return a moment as the database gives it to whoever asks without Django's columns."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def key_of(found: Found) -> tuple[int, bool]:
    """Return what a result has in common with its packed self: its second, and who asked."""
    return (found.at - _EPOCH) // _SECOND, found.manual


def _packed(
    check_id: int, start: datetime, end: datetime, *, newest_first: bool
) -> Iterator[Found]:
    found = chunks_within([check_id], start, end).order_by(
        "-starts_at" if newest_first else "starts_at"
    )
    for starts_at, data in found.values_list("starts_at", "data").iterator(chunk_size=50):
        results = unpack(bytes(data), starts_at)
        for result in reversed(results) if newest_first else results:
            if start <= result.at < end:
                yield result


def _count(
    packed: Columns, starts_at: datetime, start: datetime, end: datetime, limit: float
) -> Counts:
    first, last = -((starts_at - start) // TENTH), -((starts_at - end) // TENTH)
    n = bad = slow = 0
    for tenth, ms, kind in zip(packed.tenths, packed.latencies_ms, packed.kinds(), strict=True):
        if kind.manual or not first <= tenth < last:
            continue
        n += 1
        if not kind.ok:
            bad += 1
        elif ms > limit:
            slow += 1
    return Counts(n, bad, slow)


def _by_minute(
    check_ids: Collection[int], start: datetime, end: datetime, wanted: Q
) -> Iterator[tuple[int, bool]]:
    rows = Sample.objects.filter(
        wanted, check_of__in=check_ids, at__gte=start, at__lt=end, manual=False
    )
    seen = set()
    for check_id, at, ok in rows.values_list("check_of", "at", "ok"):
        tenth = (at - _EPOCH) // TENTH
        seen.add((check_id, tenth // 10))
        yield tenth // _MINUTE_TENTHS, ok
    found = chunks_within(check_ids, start, end).order_by()
    if wanted:
        found = found.filter(bad__gt=0)
    first, last = -((_EPOCH - start) // TENTH), -((_EPOCH - end) // TENTH)
    for check_id, starts_at, data in found.values_list("check_of", "starts_at", "data").iterator():
        packed = columns(bytes(data))
        begin = (starts_at - _EPOCH) // TENTH
        for tenth, kind in _told(packed, begin, first, last):
            if (check_id, tenth // 10) not in seen:
                yield tenth // _MINUTE_TENTHS, kind


def _told(packed: Columns, begin: int, first: int, last: int) -> Iterable[tuple[int, bool]]:
    return (
        (begin + tenth, kind.ok)
        for tenth, kind in zip(packed.tenths, packed.kinds(), strict=True)
        if not kind.manual and first <= begin + tenth < last
    )
