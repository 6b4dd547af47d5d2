"""How long answers took over time, from wherever the results are: rows, chunks or sums."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db.models import F, FloatField, Max, Q, Sum
from django.db.models.functions import Cast
from django.utils import timezone

from reliability.engine.packing import DAY_SECONDS, HOUR_SECONDS
from reliability.engine.strikes import Rules
from reliability.models import Check, Rollup, Sample
from reliability.selectors import cells, sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reliability.selectors.cells import Cell

RANGES: Final = {
    "1h": (timedelta(hours=1), 60),
    "24h": (timedelta(hours=24), 300),
    "7d": (timedelta(days=7), 1800),
    "30d": (timedelta(days=30), 7200),
    "90d": (timedelta(days=90), DAY_SECONDS),
}
"""How long each range is, and how many seconds a point of it stands for at least."""

_STEPS: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, DAY_SECONDS)
_SLOT: Final = 300
_LAST_SLOTS: Final = timedelta(seconds=2 * _SLOT)
# So many results are read for one picture; of one check all are, whatever their number.
_MOST: Final = 120_000
# What a chunk or a sum costs beside its results, in results.
_EACH: Final = 30
# Days that may not be packed into days yet.
_RECENT: Final = timedelta(days=4)
_NEWEST_ROWS: Final = 20_000

_Point = tuple[int, int, "float | None", "float | None", "float | None", "Sequence[float]"]
"""Good, failed, p50, p95, maximum, sums of phases."""


@dataclass(slots=True)
class Series:
    """Points in time order; where a value is None, nobody knows, and the line has a gap.

    `at` is the middle of a bucket in seconds since 1970. Latencies are those of good answers;
    percentiles are the least value that so many did not exceed.
    """

    start: datetime
    end: datetime
    step_seconds: int
    is_estimate: bool = False
    at: list[int] = field(default_factory=list)
    p50_ms: list[float | None] = field(default_factory=list)
    p95_ms: list[float | None] = field(default_factory=list)
    max_ms: list[float | None] = field(default_factory=list)
    good: list[int | None] = field(default_factory=list)
    failed: list[int | None] = field(default_factory=list)
    dns_ms: list[float | None] = field(default_factory=list)
    connect_ms: list[float | None] = field(default_factory=list)
    tls_ms: list[float | None] = field(default_factory=list)
    first_byte_ms: list[float | None] = field(default_factory=list)


def of_service(service_id: int, wanted: str, *, now: datetime | None = None) -> Series:
    """Return the latencies over all checks of a service."""
    return _of_checks(Q(service=service_id), wanted, now or timezone.now())


def of_check(check_id: int, wanted: str, *, now: datetime | None = None) -> Series:
    """Return the latencies of one check."""
    return _of_checks(Q(pk=check_id), wanted, now or timezone.now())


def of_check_around(check_id: int, start: datetime, end: datetime) -> Series:
    """Return the latencies of one check between two moments, in about a hundred points."""
    interval, validity = _rhythm(Q(pk=check_id))
    step = _step(max(interval, (end - start).total_seconds() / 120))
    return _series(_exact([check_id], start, end, step), start, end, step, validity)


def overall(wanted: str, *, now: datetime | None = None) -> Series:
    """Return the latencies over all checks, from their sums: any number of results is counted.

    The sums are of five minutes at least; an hour of few results is read finer, row by row.
    """
    end = now or timezone.now()
    length, step = RANGES[wanted]
    start = end - length
    interval, validity = _rhythm(Q(enabled=True))
    step = _step(max(step, min(interval, HOUR_SECONDS)))
    if step < _SLOT:
        rate = Check.objects.filter(enabled=True).aggregate(
            rate=Sum(1.0 / Cast(F("interval_seconds"), FloatField()))
        )["rate"]
        if (rate or 0) * length.total_seconds() <= _MOST:
            keys = list(Check.objects.values_list("pk", flat=True))
            return _series(_exact(keys, start, end, step), start, end, step, validity)
        step = _SLOT
    whole = _of_all(start, end, step)
    return _series({at: _summed(part) for at, part in whole.items()}, start, end, step, validity)


def p95_now() -> float | None:
    """Return the p95 over all checks in the last minutes; None if nothing was answered.

    These are the newest two sums of five minutes, or the newest rows while there are none.
    """
    since = timezone.now() - _LAST_SLOTS
    whole = sums.Sum()
    for row in Rollup.objects.filter(check_of=None, seconds=_SLOT, starts_at__gte=since):
        whole.merge(sums.of_rollup(row))
    if not whole.good:
        last = Sample.objects.aggregate(last=Max("pk"))["last"] or 0
        rows = sums.of_rows(step=_SLOT, after=last - _NEWEST_ROWS, upto=last)
        for begin, part in rows.items():
            if begin >= since.timestamp():
                whole.merge(part)
    return None if not whole.good else round(whole.histogram.quantile(0.95) or 0.0, 1)


def _of_all(start: datetime, end: datetime, step: int) -> dict[int, sums.Sum]:
    """Return the sums of all checks by step, with the rows that nobody has added up yet."""
    seconds = max(length for length in (_SLOT, HOUR_SECONDS, DAY_SECONDS) if step % length == 0)
    rows = Rollup.objects.filter(
        check_of=None,
        seconds=seconds,
        starts_at__gt=start - timedelta(seconds=seconds),
        starts_at__lt=end,
    )
    through, stored = sums.added_through(), list(rows)
    while through != (newer := sums.added_through()):
        # Results were added up in between; sums and rows must be of one moment.
        through, stored = newer, list(rows.all())
    found: defaultdict[int, sums.Sum] = defaultdict(sums.Sum)
    for row in stored:
        found[int(row.starts_at.timestamp()) // step].merge(sums.of_rollup(row))
    last = Sample.objects.aggregate(last=Max("pk"))["last"] or 0
    first, until = start.timestamp() - seconds, end.timestamp()
    for begin, part in sums.of_rows(step=seconds, after=through or 0, upto=last).items():
        if first < begin < until:
            found[begin // step].merge(part)
    return found


def _of_checks(checks: Q, wanted: str, end: datetime) -> Series:
    length, least = RANGES[wanted]
    interval, validity = _rhythm(checks)
    step = _step(max(least, interval))
    start = end - length
    rhythms = dict(Check.objects.filter(checks).values_list("pk", "interval_seconds"))
    if not rhythms:
        return Series(start, end, step)
    # Days that were removed with age are still known by their sums.
    by_day = step == DAY_SECONDS or length > timedelta(days=settings.OPS_RESULTS_DAYS)
    keys = _affordable(rhythms, min(length, _RECENT) if by_day else length)
    if len(keys) < len(rhythms) and length > _RECENT and not by_day:
        by_day = True
        keys = _affordable(rhythms, _RECENT)
    if by_day:
        step = DAY_SECONDS
        whole = _of_days(keys, start, end)
        points = {at: _summed(part) for at, part in whole.items()}
    else:
        points = _exact(keys, start, end, step)
    series = _series(points, start, end, step, validity)
    series.is_estimate = len(keys) < len(rhythms)
    return series


def _affordable(rhythms: Mapping[int, int], length: timedelta) -> list[int]:
    """Return the checks whose results can be read at once: all, or an even choice of them."""
    seconds = length.total_seconds()
    cost = sum(seconds / interval + seconds / HOUR_SECONDS * _EACH for interval in rhythms.values())
    stride = max(1, -int(-cost // _MOST)) if len(rhythms) > 1 else 1
    return sorted(rhythms)[::stride]


def _of_days(keys: Sequence[int], start: datetime, end: datetime) -> dict[int, sums.Sum]:
    """Return the sums of checks by day, with the rows that are not packed yet."""
    found: defaultdict[int, sums.Sum] = defaultdict(sums.Sum)
    for starts_at, part in sums.of_days(keys, start - timedelta(days=1), end):
        found[int(starts_at.timestamp()) // DAY_SECONDS].merge(part)
    return found


def _exact(keys: Sequence[int], start: datetime, end: datetime, step: int) -> dict[int, _Point]:
    return {at: _told(cell) for at, cell in cells.read(keys, start, end, step).items()}


def _told(cell: Cell) -> _Point:
    if not cell.latencies_ms:
        return 0, cell.failed, None, None, None, cell.phases
    cell.latencies_ms.sort()
    return (
        len(cell.latencies_ms),
        cell.failed,
        cell.percentile(0.5),
        cell.percentile(0.95),
        cell.latencies_ms[-1],
        cell.phases,
    )


def _summed(part: sums.Sum) -> _Point:
    histogram = part.histogram
    most = histogram.most if part.good else None
    return part.good, part.bad, histogram.quantile(0.5), histogram.quantile(0.95), most, part.phases


def _rhythm(checks: Q) -> tuple[int, float]:
    """Return the longest interval of these checks, and for how long their results hold."""
    found = Check.objects.filter(checks).aggregate(
        interval=Max("interval_seconds"), timeout=Max("timeout_seconds")
    )
    interval, timeout = found["interval"] or 60, found["timeout"] or 10
    return interval, Rules(interval, timeout).validity.total_seconds()


def _step(least: float) -> int:
    return next((step for step in _STEPS if step >= least), _STEPS[-1])


def _series(
    points: Mapping[int, _Point], start: datetime, end: datetime, step: int, validity: float
) -> Series:
    """Turn points into a series; where results are further apart than they hold, there is a gap."""
    series = Series(start, end, step)
    before: int | None = None
    for number, (good, failed, p50, p95, most, phases) in sorted(points.items()):
        if not good and not failed:
            continue
        at = number * step + step // 2
        if before is not None and at - before > validity + step:
            _append(series, before + step, None, None, [None] * 7)
        means = [phase / good if good else None for phase in phases]
        _append(series, at, good, failed, [p50, p95, most, *means])
        before = at
    if before is not None and end.timestamp() - before > validity + step:
        _append(series, before + step, None, None, [None] * 7)
    return series


def _append(
    series: Series, at: int, good: int | None, failed: int | None, values: Sequence[float | None]
) -> None:
    series.at.append(at)
    series.good.append(good)
    series.failed.append(failed)
    columns = (
        series.p50_ms,
        series.p95_ms,
        series.max_ms,
        series.dns_ms,
        series.connect_ms,
        series.tls_ms,
        series.first_byte_ms,
    )
    for column, value in zip(columns, values, strict=True):
        column.append(None if value is None else round(float(value), 1))


def latest(series: Series) -> tuple[datetime, float] | None:
    """Return the newest known p95 and its moment."""
    for at, value in zip(reversed(series.at), reversed(series.p95_ms), strict=True):
        if value is not None:
            return datetime.fromtimestamp(at, UTC), value
    return None
