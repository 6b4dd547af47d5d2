"""What a stored result takes and costs, on SQLite unless DATABASE_URL names PostgreSQL.

Results are made up: latencies spread by a fifth around a level of each check, moments by the lag
of a busy prober, one in two hundred fails. Sizes are those of the table with its indexes.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reliability.models import Rollup, SampleChunk

_CHECKS: Final = 2_000
_NOW: Final = datetime(2026, 7, 10, 12, 7, tzinfo=UTC)
_HOUR: Final = datetime(2026, 7, 10, 10, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_HOUR_SECONDS: Final = 3_600
_DAY_SECONDS: Final = 86_400


def run() -> Iterator[Row]:
    """Measure bytes and CPU of packing, and the curves that read what was packed."""
    import django

    django.setup()
    from django.core.management import call_command

    from reliability.services import packing

    call_command("migrate", verbosity=0)
    rng = random.Random(1)  # noqa: S311  # repeatable, not secret
    service, keys = _checks(_CHECKS)
    _store_rows(rng, keys)
    before = _bytes("reliability_samplechunk")
    raw = _bytes("reliability_sample") / (60 * len(keys))
    began = time.process_time()
    done = packing.run(now=_NOW)
    spent = time.process_time() - began
    assert done.results == 60 * len(keys)
    each = (_bytes("reliability_samplechunk") - before) / done.results
    yield Row("a result in an hour, each minute", each, "B", "limit 4 B", 4)
    yield Row("the same against its row", each, "B", "a row", raw)
    yield Row("packing a result, CPU", spent / done.results * 1e6, "us", "goal 30 us", 30)
    each, with_sums = _days(rng, keys)
    yield Row("a result in a day, each minute", each, "B", "limit 1 B", 1)
    yield Row("the same with the sum of the day", with_sums, "B", "limit 1 B", 1)
    yield from _curves(service, keys)
    yield from _counts(keys)


def _checks(count: int) -> tuple[int, list[int]]:
    from reliability.models import Check, Service

    service = Service.objects.create(name="measured")
    Check.objects.bulk_create(
        Check(service=service, name=str(n), url="http://127.0.0.1/") for n in range(count)
    )
    return service.pk, list(Check.objects.order_by("pk").values_list("pk", flat=True))


def _found(rng: random.Random, start: datetime, count: int, interval: int) -> list[Any]:
    from reliability.engine.packing import Found

    level, phase = rng.uniform(5, 300), rng.uniform(0, interval - 1)
    made = []
    for number in range(count):
        at = start + timedelta(seconds=phase + number * interval + rng.expovariate(1 / 0.03))
        failed = rng.random() < 0.005
        ms = 10_000.0 if failed else level * rng.lognormvariate(0, 0.2)
        status, failure = (None, "timeout") if failed else (200, "")
        detail = "No answer within 10 s" if failed else ""
        made.append(Found(at, not failed, ms, status_code=status, failure=failure, detail=detail))
    return made


def _store_rows(rng: random.Random, keys: list[int]) -> None:
    for key in keys:
        _store_as_rows(key, _found(rng, _HOUR, 60, 60))


def _store_as_rows(key: int, results: list[Any]) -> None:
    from reliability.models import Sample

    Sample.objects.bulk_create(
        Sample(
            check_of_id=key,
            at=found.at,
            ok=found.ok,
            latency_ms=found.latency_ms,
            status_code=found.status_code,
            failure=found.failure,
            detail=found.detail,
            connect_ms=found.latency_ms / 3,
            first_byte_ms=found.latency_ms / 2,
        )
        for found in results
    )


def _days(rng: random.Random, keys: list[int]) -> tuple[float, float]:
    """Store a day of each check; return the bytes of a result, alone and with the daily sum."""
    from reliability.models import Rollup, SampleChunk

    tables = ("reliability_samplechunk", "reliability_rollup")
    SampleChunk.objects.all().delete()
    _vacuum()
    before = [_bytes(table) for table in tables]
    start = datetime(2026, 7, 9, tzinfo=UTC)
    chunks, sums = [], []
    for key in keys:
        chunk, rollup = _packed_day(key, start, _found(rng, start, 1440, 60))
        chunks.append(chunk)
        sums.append(rollup)
    SampleChunk.objects.bulk_create(chunks, batch_size=500)
    Rollup.objects.bulk_create(sums, batch_size=500)
    chunk_bytes, sum_bytes = (_bytes(t) - b for t, b in zip(tables, before, strict=True))
    results = 1440 * len(keys)
    return chunk_bytes / results, (chunk_bytes + sum_bytes) / results


def _packed_day(key: int, start: datetime, found: list[Any]) -> tuple[SampleChunk, Rollup]:
    return _packed(key, start, _DAY_SECONDS, found), _sum(key, start, found)


def _packed(key: int, start: datetime, seconds: int, found: list[Any]) -> SampleChunk:
    from reliability.engine.packing import pack
    from reliability.models import SampleChunk

    phases = dict.fromkeys(range(1 if seconds == _HOUR_SECONDS else 4), (1.0, 20.0, 30.0, 40.0))
    return SampleChunk(
        check_of_id=key,
        starts_at=start,
        seconds=seconds,
        n=len(found),
        bad=sum(not one.ok for one in found),
        data=pack(found, start=start, seconds=seconds, phases=phases),
    )


def _sum(key: int, start: datetime, found: list[Any]) -> Rollup:
    from core.histogram import Histogram
    from reliability.models import Rollup

    return Rollup(
        check_of_id=key,
        starts_at=start,
        seconds=_DAY_SECONDS,
        n=len(found),
        bad=sum(not one.ok for one in found),
        histogram=Histogram(one.latency_ms for one in found if one.ok).to_bytes(),
    )


def _curves(service: int, keys: list[int]) -> Iterator[Row]:
    from reliability.models import Check
    from reliability.selectors import latency

    midnight = datetime(2026, 7, 10, tzinfo=UTC)
    spent = _milliseconds(lambda: latency.of_service(service, "24h", now=midnight))
    yield Row(f"curve of 24h, {_CHECKS:,} checks", spent, "ms", "goal 500 ms", 500)
    Check.objects.filter(pk=keys[0]).update(interval_seconds=10)
    _past(keys[0], 10)
    for wanted, most in (("24h", 50), ("7d", 150), ("30d", 500), ("90d", 200)):
        spent = _milliseconds(partial(latency.of_check, keys[0], wanted, now=_NOW))
        yield Row(f"curve of {wanted}, asked each 10 s", spent, "ms", f"goal {most} ms", most)


def _counts(keys: list[int]) -> Iterator[Row]:
    from reliability.selectors import results

    def counting(
        some: list[int], length: timedelta, end: datetime, threshold_ms: float | None = None
    ) -> float:
        def count() -> object:
            return results.counts(some, start=end - length, end=end, threshold_ms=threshold_ms)

        return _milliseconds(count)

    month = timedelta(days=30)
    yield Row("counting 30 days of 10 s", counting(keys[:1], month, _NOW), "ms", "goal 10 ms", 10)
    # What each of the checks found on a day is there already; of some it is a whole past now.
    half = timedelta(hours=13)
    spent = counting(keys[1:], half, datetime(2026, 7, 10, tzinfo=UTC))
    yield Row(f"counting 13 hours, {_CHECKS:,} checks", spent, "ms", "goal 250 ms", 250)
    for key in keys[1:100]:
        _past(key, 60)
    some = keys[:100]
    yield Row("counting 30 days, 100 checks", counting(some, month, _NOW), "ms", "goal 100 ms", 100)
    spent = counting(some, month, _NOW, threshold_ms=250)
    yield Row("the same with slow ones", spent, "ms", "goal 100 ms", 100)


def _past(key: int, interval: int) -> None:
    """Store thirty days of a check as they lie at _NOW: days, hours of two days and today, rows."""
    from reliability.models import Rollup, Sample, SampleChunk

    for model in (SampleChunk, Rollup, Sample):
        model.objects.filter(check_of=key).delete()
    rng = random.Random(key)  # noqa: S311  # repeatable, not secret
    chunks, sums = [], []
    last = _HOUR + timedelta(hours=1)
    start = (_NOW - 31 * _DAY).replace(hour=0, minute=0)
    while start < _NOW:
        of_day = _found(rng, start, _DAY_SECONDS // interval, interval)
        of_day = [one for one in of_day if one.at < min(start + _DAY, _NOW)]
        if start < (_NOW - 2 * _DAY).replace(hour=0, minute=0):
            chunks.append(_packed(key, start, _DAY_SECONDS, of_day))
        else:
            for number in range(24):
                hour = start + timedelta(hours=number)
                end = hour + timedelta(hours=1)
                if found := [one for one in of_day if hour <= one.at < min(end, last)]:
                    chunks.append(_packed(key, hour, _HOUR_SECONDS, found))
            _store_as_rows(key, [one for one in of_day if one.at >= last])
        sums.append(_sum(key, start, [one for one in of_day if one.at < last]))
        start += _DAY
    SampleChunk.objects.bulk_create(chunks, batch_size=500)
    Rollup.objects.bulk_create(sums, batch_size=500)


def _milliseconds(work: Callable[[], Any]) -> float:
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return min(spent) * 1000


def _vacuum() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM")


def _bytes(table: str) -> float:
    """Return what a table takes with its indexes."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_total_relation_size(%s)", [table])
        else:
            cursor.execute(
                "SELECT COALESCE(SUM(pgsize), 0) FROM dbstat WHERE name IN "
                "(SELECT name FROM sqlite_master WHERE tbl_name = %s)",
                [table],
            )
        return float(cursor.fetchone()[0])
