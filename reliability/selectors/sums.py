"""Results added up: counts, latencies as a histogram, phases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from typing import TYPE_CHECKING, Final

from django.db import connection
from django.db.models import Max

from core.histogram import GROWTH, LEAST_MS, Histogram
from reliability.engine.packing import DAY_SECONDS
from reliability.models import Rollup
from reliability.selectors.counting import as_moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from reliability.engine.packing import Found

EPOCH: Final = {
    "sqlite": "CAST(strftime('%%s', substr(at, 1, 19)) AS INTEGER)",
    "postgresql": "CAST(FLOOR(EXTRACT(EPOCH FROM at)) AS BIGINT)",
}
"""The column `at` as whole seconds since 1970, by database."""

# The buckets of `core.histogram`, found by the database: few rows leave it, whatever was found.
_BUCKETS: Final = """\
SELECT {epoch} / %s AS step, ok,
  CASE WHEN latency_ms <= {least} THEN 0
    ELSE CAST(FLOOR(LN(latency_ms / {least}) / {growth}) AS INTEGER) + 1 END AS bucket,
  COUNT(*), SUM(latency_ms), MAX(latency_ms),
  SUM(dns_ms), SUM(connect_ms), SUM(tls_ms), SUM(first_byte_ms)
FROM reliability_sample
WHERE id > %s AND id <= %s AND NOT manual
GROUP BY step, ok, bucket"""
# One statement reads sums and rows: packing moves results in between.
_DAYS: Final = """\
SELECT starts_at, n, bad, histogram, 0.0, dns_ms, connect_ms, tls_ms, first_byte_ms
FROM reliability_rollup
WHERE check_id IN ({keys}) AND starts_at > {start} AND starts_at < {end}
UNION ALL
SELECT at, 1, CASE WHEN ok THEN 0 ELSE 1 END, NULL,
  latency_ms, dns_ms, connect_ms, tls_ms, first_byte_ms
FROM reliability_sample
WHERE check_id IN ({keys}) AND at > {start} AND at < {end} AND NOT manual"""
_PHASES: Final = 4

Phases = Sequence[float]
"""Name lookup, connection, TLS, first byte; of one result in ms."""


@dataclass(slots=True)
class Sum:
    """Results of the schedule added up; latencies and phases are those of good ones."""

    n: int = 0
    bad: int = 0
    histogram: Histogram = field(default_factory=Histogram)
    phases: list[float] = field(default_factory=lambda: [0.0] * _PHASES)
    """Sums of name lookup, connection, TLS and first byte."""

    @property
    def good(self) -> int:
        """How many were good."""
        return self.n - self.bad

    def merge(self, other: Sum) -> None:
        """Add what another sum counted."""
        self.n += other.n
        self.bad += other.bad
        self.histogram.merge(other.histogram)
        self.phases = [mine + more for mine, more in zip(self.phases, other.phases, strict=True)]


def added_through() -> int | None:
    """Return the newest row that the sums of all checks count; None if nothing was added up."""
    days = Rollup.objects.filter(check_of=None, seconds=DAY_SECONDS)
    newest: int | None = days.aggregate(newest=Max("through_id"))["newest"]
    return newest


def of_rows(*, step: int, after: int, upto: int) -> dict[int, Sum]:
    """Add up the rows with ids above `after` up to `upto`, by the begin of their step."""
    sql = _BUCKETS.format(epoch=EPOCH[connection.vendor], least=LEAST_MS, growth=log(GROWTH))
    found: dict[int, Sum] = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, [step, after, upto])
        for number, ok, bucket, n, total, most, *phases in cursor:
            part = found.setdefault(int(number) * step, Sum())
            part.n += n
            if ok:
                part.histogram.merge(
                    Histogram.of_buckets({int(bucket): n}, total_ms=total, most_ms=most)
                )
                part.phases = [mine + more for mine, more in zip(part.phases, phases, strict=True)]
            else:
                part.bad += n
    return found


def of_rollup(row: Rollup) -> Sum:
    """Return what a stored sum counts."""
    return Sum(
        row.n,
        row.bad,
        Histogram.from_bytes(bytes(row.histogram)),
        [row.dns_ms, row.connect_ms, row.tls_ms, row.first_byte_ms],
    )


def of_days(
    check_ids: Collection[int], start: datetime, end: datetime
) -> Iterator[tuple[datetime, Sum]]:
    """Return the sums of days of checks after `start`, and each row that is in none yet.

    The day in which the end lies is not cut.
    """
    moments = {
        name: f"'{connection.ops.adapt_datetimefield_value(at)}'"
        for name, at in (("start", start), ("end", end))
    }
    keys = ",".join(str(int(key)) for key in check_ids)
    with connection.cursor() as cursor:
        cursor.execute(_DAYS.format(keys=keys, **moments))
        for at, n, bad, histogram, ms, *phases in cursor:
            if histogram is not None:
                latencies = Histogram.from_bytes(bytes(histogram))
            else:
                latencies = Histogram([] if bad else [ms])
            yield as_moment(at), Sum(n, bad, latencies, phases if n > bad else [0.0] * _PHASES)


def of_found(results: Iterable[tuple[Found, Phases]]) -> Sum:
    """Add up results of the schedule with their phases."""
    scheduled = [(found, phases) for found, phases in results if not found.manual]
    good = [(found.latency_ms, phases) for found, phases in scheduled if found.ok]
    made = Sum(len(scheduled), len(scheduled) - len(good), Histogram(ms for ms, _ in good))
    if good:
        made.phases = [sum(phase) for phase in zip(*(phases for _, phases in good), strict=True)]
    return made
