"""How long answers took, in buckets that the database fills."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import connection
from django.db.models import F, FloatField, Max, Q, Sum
from django.db.models.functions import Cast
from django.utils import timezone

from reliability.engine.strikes import Rules
from reliability.models import Check, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

RANGES: Final = {
    "1h": (timedelta(hours=1), 60),
    "24h": (timedelta(hours=24), 300),
    "7d": (timedelta(days=7), 1800),
    "30d": (timedelta(days=30), 7200),
}
"""How long each range is, and how many seconds a point of it stands for at least."""

_STEPS: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_READ_ALL: Final = 50_000
_PICKED: Final = 6_000
_NOW: Final = timedelta(minutes=5)
# A queue of results may be stored minutes after they were found, and retries come in between.
_MORE: Final = 1.5

# Names of our own tables and columns; values are parameters.
_BUCKETS: Final = """\
SELECT bucket, SUM(CASE WHEN ok THEN 1 ELSE 0 END), SUM(CASE WHEN ok THEN 0 ELSE 1 END),
  MIN(CASE WHEN ok AND share >= 0.5 THEN latency_ms END),
  MIN(CASE WHEN ok AND share >= 0.95 THEN latency_ms END),
  MAX(CASE WHEN ok THEN latency_ms END),
  AVG(CASE WHEN ok THEN dns_ms END), AVG(CASE WHEN ok THEN connect_ms END),
  AVG(CASE WHEN ok THEN tls_ms END), AVG(CASE WHEN ok THEN first_byte_ms END)
FROM (
  SELECT bucket, ok, latency_ms, dns_ms, connect_ms, tls_ms, first_byte_ms,
    CUME_DIST() OVER (PARTITION BY bucket, ok ORDER BY latency_ms) AS share
  FROM (
    SELECT {epoch} / %s AS bucket, ok, latency_ms, dns_ms, connect_ms, tls_ms, first_byte_ms
    FROM {source} WHERE NOT manual AND at >= %s AND at < %s{condition}
  ) AS wanted
) AS ranked GROUP BY bucket ORDER BY bucket"""
_EPOCH: Final = {
    "sqlite": "CAST(strftime('%%s', substr(at, 1, 19)) AS INTEGER)",
    "postgresql": "CAST(FLOOR(EXTRACT(EPOCH FROM at)) AS BIGINT)",
}
# The place within each stride changes from one to the next: checks take turns, and an even stride
# could meet the same few each time.
_PICK: Final = """\
(WITH RECURSIVE pick(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM pick WHERE n < %s)
 SELECT reliability_sample.* FROM pick
 JOIN reliability_sample ON reliability_sample.id = %s + n * %s + (n * 7919) %% %s
) AS picked"""


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
    condition = " AND check_id IN (%s)"
    rows = _buckets("reliability_sample", [], condition, [check_id], start, end, step)
    return _series(rows, start, end, step, validity)


def overall(wanted: str, *, now: datetime | None = None) -> Series:
    """Return the latencies over all checks that are on.

    Up to 50,000 results are all read. Of more, a sample of 6,000 is read, evenly spread over
    time: ids rise with it, so that no index on the time has to be kept.
    """
    end = now or timezone.now()
    length, step = RANGES[wanted]
    return _overall(end - length, end, step)


def p95_now() -> float | None:
    """Return the p95 over all checks in the last five minutes; None if nothing was answered."""
    end = timezone.now()
    series = _overall(end - _NOW, end, 86_400)
    known = [value for value in series.p95_ms if value is not None]
    return known[-1] if known else None


def _overall(start: datetime, end: datetime, step: int) -> Series:
    is_on = Q(enabled=True)
    rate = Check.objects.filter(is_on).aggregate(
        rate=Sum(1.0 / Cast(F("interval_seconds"), FloatField()))
    )["rate"]
    expected = int((rate or 0) * (end - start).total_seconds() * _MORE) + 1
    interval, validity = _rhythm(is_on)
    step = _step(max(step, min(interval, 3600)))
    if expected <= _READ_ALL:
        condition = " AND check_id IN (SELECT id FROM reliability_check WHERE enabled)"
        rows = _buckets("reliability_sample", [], condition, [], start, end, step)
        return _series(rows, start, end, step, validity)
    newest = Sample.objects.aggregate(newest=Max("pk"))["newest"] or 0
    reach = min(expected, newest)
    stride = max(1, -(-reach // _PICKED))
    pick = [reach // stride, max(1, newest - reach), stride, stride]
    rows = _buckets(_PICK, pick, "", [], start, end, step)
    series = _series(rows, start, end, step, validity)
    series.is_estimate = True
    return series


def _of_checks(checks: Q, wanted: str, end: datetime) -> Series:
    length, least = RANGES[wanted]
    interval, validity = _rhythm(checks)
    step = _step(max(least, interval))
    start = end - length
    keys = list(Check.objects.filter(checks).values_list("pk", flat=True))
    if not keys:
        return Series(start, end, step)
    condition = f" AND check_id IN ({', '.join(['%s'] * len(keys))})"
    rows = _buckets("reliability_sample", [], condition, keys, start, end, step)
    return _series(rows, start, end, step, validity)


def _rhythm(checks: Q) -> tuple[int, float]:
    """Return the longest interval of these checks, and for how long their results hold."""
    found = Check.objects.filter(checks).aggregate(
        interval=Max("interval_seconds"), timeout=Max("timeout_seconds")
    )
    interval, timeout = found["interval"] or 60, found["timeout"] or 10
    return interval, Rules(interval, timeout).validity.total_seconds()


def _step(least: float) -> int:
    return next((step for step in _STEPS if step >= least), _STEPS[-1])


def _buckets(
    source: str,
    source_values: Sequence[int],
    condition: str,
    values: Sequence[int],
    start: datetime,
    end: datetime,
    step: int,
) -> list[tuple[Any, ...]]:
    epoch = _EPOCH[connection.vendor]
    # SQLite keeps times as text, which compares like the times themselves.
    times = [connection.ops.adapt_datetimefield_value(at) for at in (start, end)]
    with connection.cursor() as cursor:
        cursor.execute(
            _BUCKETS.format(epoch=epoch, source=source, condition=condition),
            [step, *source_values, *times, *values],
        )
        return list(cursor.fetchall())


def _series(
    rows: Sequence[tuple[Any, ...]], start: datetime, end: datetime, step: int, validity: float
) -> Series:
    """Turn rows into a series; where results are further apart than they hold, there is a gap."""
    series = Series(start, end, step)
    before: int | None = None
    for bucket, good, failed, *values in rows:
        at = int(bucket) * step + step // 2
        if before is not None and at - before > validity + step:
            _append(series, before + step, None, None, [None] * len(values))
        _append(series, at, int(good), int(failed), values)
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
