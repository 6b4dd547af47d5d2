"""What one HTTP check costs, how late it starts, and what storing its result costs.

The event loop is uvloop, as in the daemon.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import aiohttp
import uvloop

from benchmarks.served.receivers import answering
from benchmarks.table import Row
from core.http import Policy, session
from reliability.engine.probe import Target
from reliability.engine.prober import Prober, probe_once
from reliability.engine.strikes import Rules, Standing, State, Tracker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

_CONCURRENCY = 100
# Each address has ports of its own, so closed connections do not use them up.
_HOSTS = [f"127.0.0.{number}" for number in range(1, 21)]
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
_STORED = 2_000
_ROUNDS = 5


def run() -> Iterator[Row]:
    """Measure the engine against a bare aiohttp client, then its punctuality and the flush."""
    with answering(_Answers, _HOSTS) as port:
        _ms(_bare, port, 500)
        for count in (1_000, 10_000):
            # In turns and the least of each: neighbours on the machine only ever add.
            rounds = [(_ms(_engine, port, count), _ms(_bare, port, count)) for _ in range(_ROUNDS)]
            ours, bare = map(min, zip(*rounds, strict=True))
            yield Row(f"{count:,} HTTP checks, CPU each", ours, "ms", "limit 0.3 ms", 0.3)
            yield Row(f"{count:,} HTTP checks, CPU each", ours, "ms", "bare aiohttp", bare)
        lag = _ms(_lag, port, 1_000)
        yield Row("1,000 checks in 10 s, latest start", lag, "ms", "limit 250 ms", 250)
    yield Row("storing one result, CPU", _storing(), "ms", "limit 0.15 ms", 0.15)


def _ms(measure: Callable[[int, int], Awaitable[float]], port: int, count: int) -> float:
    async def main() -> float:
        return await measure(port, count)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as event_loop:
        return event_loop.run(main())


class _Answers(asyncio.Protocol):
    """The smallest server: whatever comes, one answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # That of uvloop over TLS is none by its class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _data: bytes) -> None:
        self._transport.write(_ANSWER)
        self._transport.close()


def _targets(port: int, count: int, interval: float = 60) -> list[Target]:
    rules = Rules(interval_seconds=interval, timeout_seconds=10)
    return [
        Target(
            check_id=key,
            config_version=1,
            url=f"http://{_HOSTS[key % len(_HOSTS)]}:{port}/",
            rules=rules,
            retry_seconds=20,
        )
        for key in range(count)
    ]


async def _engine(port: int, count: int) -> float:
    """Return milliseconds of CPU per check: guard, phases, judgement, limits."""
    targets = _targets(port, count)
    async with session(Policy.MONITOR) as client:
        began = time.process_time()
        results = await probe_once(client, targets, limit=_CONCURRENCY, per_host=_CONCURRENCY)
        spent = time.process_time() - began
    assert all(result.ok for result in results), results[0]
    return spent / count * 1e3


async def _bare(port: int, count: int) -> float:
    """Return milliseconds of CPU per request of aiohttp without anything of ours."""
    places = asyncio.Semaphore(_CONCURRENCY)

    async def one(client: aiohttp.ClientSession, url: str) -> None:
        async with places, client.get(url) as answer:
            await answer.read()

    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(connector=connector) as client:
        began = time.process_time()
        await asyncio.gather(*(one(client, target.url) for target in _targets(port, count)))
        return (time.process_time() - began) / count * 1e3


async def _lag(port: int, count: int) -> float:
    """Return how many milliseconds the latest of the checks started behind its moment."""
    seconds = 10.0
    now = datetime.now(UTC)
    tracker = Tracker(since=now, state=State.UP, standing=Standing.UP, last_at=now)
    prober = Prober(session(Policy.MONITOR), limit=_CONCURRENCY)
    prober.replace(((target, tracker) for target in _targets(port, count, seconds)), at_once=False)
    await prober.run(until=time.monotonic() + seconds)
    await prober.close()
    return prober.worst_lag_seconds * 1e3


def _storing() -> float:
    """Return milliseconds of CPU per result of a flush, on SQLite unless DATABASE_URL is set."""
    import django

    django.setup()
    from django.core.management import call_command

    from core import leases
    from core.actors import SYSTEM
    from core.http import Phases
    from reliability.engine.batch import Batch
    from reliability.engine.probe import Result
    from reliability.models import Check, CheckState, Service
    from reliability.services import results

    call_command("migrate", verbosity=0)
    now = datetime.now(UTC)
    service = Service.objects.create(name=f"Benchmark of {SYSTEM.name}")
    checks = Check.objects.bulk_create(
        Check(service=service, url="http://127.0.0.1/") for _ in range(_STORED)
    )
    CheckState.objects.bulk_create(CheckState(check_of=check, since=now) for check in checks)
    held = leases.acquire(name="benchmark", seconds=600)
    assert held is not None
    spent = []
    for minute in range(3):
        batch = Batch()
        at = now + timedelta(minutes=minute)
        tracker = Tracker(since=now, last_at=at)
        for check in checks:
            result = Result(
                check_id=check.pk,
                at=at,
                ok=True,
                latency_ms=12.5,
                phases=Phases(),
                status_code=200,
            )
            target = Target(check.pk, 1, check.url, Rules(60, 10), 20)
            batch.note(target, tracker, (), result)
        began = time.process_time()
        results.store(batch=batch, held=held)
        spent.append(time.process_time() - began)
    service.delete()
    leases.release(held)
    return min(spent) / _STORED * 1e3
