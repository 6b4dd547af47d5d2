"""What a stored result takes and costs, on SQLite unless DATABASE_URL names PostgreSQL.

Results are made up: latencies spread by a fifth around a level of each check, moments by the lag
of a busy prober, one in two hundred fails. Sizes are those of the table with its indexes.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHECKS: Final = 2_000
_NOW: Final = datetime(2026, 7, 10, 12, 7, tzinfo=UTC)
_HOUR: Final = datetime(2026, 7, 10, 10, tzinfo=UTC)
_DAY: Final = timedelta(days=1)


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
    yield from _curves(rng, service, keys)


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
    from reliability.models import Sample

    for key in keys:
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
            for found in _found(rng, _HOUR, 60, 60)
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


def _packed_day(key: int, start: datetime, found: list[Any]) -> tuple[Any, Any]:
    from core.histogram import Histogram
    from reliability.engine.packing import DAY_SECONDS, pack
    from reliability.models import Rollup, SampleChunk

    bad = sum(not one.ok for one in found)
    phases = dict.fromkeys(range(4), (1.0, 20.0, 30.0, 40.0))
    where = {"check_of_id": key, "starts_at": start, "seconds": DAY_SECONDS}
    chunk = SampleChunk(
        **where,
        n=len(found),
        bad=bad,
        data=pack(found, start=start, seconds=DAY_SECONDS, phases=phases),
    )
    histogram = Histogram(one.latency_ms for one in found if one.ok)
    rollup = Rollup(**where, n=len(found), bad=bad, histogram=histogram.to_bytes())
    return chunk, rollup


def _curves(rng: random.Random, service: int, keys: list[int]) -> Iterator[Row]:
    from reliability.models import Check, Rollup, SampleChunk
    from reliability.selectors import latency, results

    now = datetime(2026, 7, 10, tzinfo=UTC)
    Check.objects.filter(pk=keys[0]).update(interval_seconds=10)
    SampleChunk.objects.filter(check_of=keys[0]).delete()
    Rollup.objects.filter(check_of=keys[0]).delete()
    for age in range(1, 31):
        start = now - age * _DAY
        chunk, rollup = _packed_day(keys[0], start, _found(rng, start, 8639, 10))
        chunk.save()
        rollup.save()
    for wanted, most in (("24h", 50), ("7d", 150), ("30d", 500), ("90d", 200)):
        spent = _milliseconds(lambda w=wanted: latency.of_check(keys[0], w, now=now))
        yield Row(f"curve of {wanted}, asked each 10 s", spent, "ms", f"goal {most} ms", most)
    spent = _milliseconds(lambda: latency.of_service(service, "24h", now=now))
    yield Row(f"curve of 24h, {_CHECKS:,} checks", spent, "ms", "goal 500 ms", 500)
    start = now - 30 * _DAY
    spent = _milliseconds(lambda: results.counts(keys[:1], start=start, end=now))
    yield Row("counting 30 days of 10 s", spent, "ms", "goal 10 ms", 10)
    hours = timedelta(hours=13)
    spent = _milliseconds(lambda: results.counts(keys, start=now - hours, end=now))
    yield Row(f"counting 13 hours, {_CHECKS:,} checks", spent, "ms", "goal 1,000 ms", 1_000)


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
