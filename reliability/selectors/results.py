"""Every result that is kept, wherever it is stored: the newest as rows, older ones packed.

Late results may lie in both, at any time of the past. Each reading is one statement, or reads rows
before chunks and drops what it meets twice: packing may move results in between.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from heapq import merge
from typing import TYPE_CHECKING, Final

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
from reliability.selectors.counting import Counts, as_moment, counts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = [
    "Counts",
    "Found",
    "answer_of",
    "as_moment",
    "bad_minutes",
    "chunks_within",
    "counts",
    "first_at",
    "key_of",
    "keys_packed",
    "minutes",
    "moment_of",
    "of_check",
    "packed_of",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_TENTHS: Final = 600
_FOUND: Final = ("at", "ok", "latency_ms", "manual", "status_code", "failure", "detail")
_SECOND: Final = timedelta(seconds=1)
_HOUR: Final = timedelta(seconds=HOUR_SECONDS)
_DAY: Final = timedelta(seconds=DAY_SECONDS)


def answer_of(detail: str, status_code: int | None) -> str:
    """Return in words what a probe was answered; not every kind has a status."""
    return detail or (f"HTTP {status_code}" if status_code is not None else "as expected")


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


def key_of(found: Found) -> tuple[int, bool]:
    """Return what a result has in common with its packed self: its second, and who asked."""
    return moment_of(found.at, manual=found.manual)


def moment_of(at: datetime, *, manual: bool) -> tuple[int, bool]:
    """Return the key of a result that was found then."""
    return (at - _EPOCH) // _SECOND, manual


def keys_packed(check_id: int, start: datetime, end: datetime) -> set[tuple[int, bool]]:
    """Return the keys of what is packed of a check, in the chunks of this time."""
    found = set()
    chunks = chunks_within([check_id], start, end + TENTH).order_by()
    for starts_at, data in chunks.values_list("starts_at", "data").iterator(chunk_size=50):
        packed = columns(bytes(data), with_latencies=False)
        begin = (starts_at - _EPOCH) // _SECOND
        found |= {
            (begin + tenth // 10, kind.manual)
            for tenth, kind in zip(packed.tenths, packed.kinds(), strict=True)
        }
    return found


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
        packed = columns(bytes(data), with_latencies=False)
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
