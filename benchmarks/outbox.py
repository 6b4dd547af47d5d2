"""What one message costs from alert to receiver, on SQLite unless DATABASE_URL is set.

The receiver is another process and answers every twentieth request with 503, so the figures hold
retries too. The event loop is uvloop, as in the daemon. Then the outbox grows to a million
messages, and a dispatcher of its own sends beside a channel that hangs.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast
from unittest import mock

import aiohttp
import uvloop

from benchmarks.served.dispatching import beside_a_dead_channel, first_bytes
from benchmarks.served.messages import analyse, fill
from benchmarks.served.receivers import answering
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from uuid import UUID

    from django.db.models import QuerySet

    from notifications.models import Notification

_MESSAGES = 5_000
_FAILING = 20
_ROUNDS = 3
_LOOKS = 20
_PARALLEL = 50
_SIZES = (10_000, 100_000, 1_000_000)
_PENDING = 500
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno"


def run() -> Iterator[Row]:
    """Measure raising, routing and sending, a large outbox, and a dispatcher at work."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import override_settings

    call_command("migrate", verbosity=0)
    with answering(_Answers) as port, override_settings(OPS_OUTGOING_ALLOW=(f"127.0.0.1:{port}",)):
        channel_id = _add_channel(port)
        yield from _one_message(port, channel_id)
    yield from _growth(channel_id)
    yield from _at_work()


def _one_message(port: int, channel_id: UUID) -> Iterator[Row]:
    raising, routing, sending, rates, bare = [], [], [], [], []
    for number in range(_ROUNDS):
        raising.append(_raise_alerts(number))
        routing.append(_route())
        cpu, seconds = _dispatch(channel_id)
        sending.append(cpu)
        rates.append(_MESSAGES / seconds)
        bare.append(_bare(port))
    # The least of each: neighbours on the machine only ever add.
    yield Row("raising an alert, CPU", min(raising), "ms", "limit 1 ms", 1)
    yield Row("routing a message, CPU", min(routing), "ms", "goal 0.3 ms", 0.3)
    yield Row("sending a message, CPU", min(sending), "ms", "goal 0.3 ms", 0.3)
    yield Row("sending a message, CPU", min(sending), "ms", "bare aiohttp POST", min(bare))
    yield Row("messages sent", max(rates), "/s", "limit 500/s", 500, higher_is_better=True)


def _growth(channel_id: UUID) -> Iterator[Row]:
    """Measure claims and lists beside ten and a hundred times as many messages."""
    from django.db import connection

    from notifications.models import Notification

    Notification.objects.all().delete()
    have = 0
    for size in _SIZES:
        fill(channel_id, size - have, prefix=f"of {size}")
        have = size
        fill(channel_id, _PENDING, state="pending", prefix=f"due {size}")
        analyse()
        what = f"{size:,} messages"
        query, whole = _claim(channel_id)
        yield Row(f"{what}, finding 50 of 500 that are due", query, "ms", "limit 1 ms", 1)
        yield Row(f"{what}, claiming and leasing them", whole, "ms", "goal 10 ms", 10)
        yield Row(f"{what}, list of 1,000", _list_messages(), "ms", "limit 10 ms", 10)
        deep = _list_messages(skip=size // 2)
        yield Row(f"{what}, list of 1,000 in the middle", deep, "ms", "limit 10 ms", 10)
        Notification.objects.pending().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM notifications_notification")


def _at_work() -> Iterator[Row]:
    """Measure a dispatcher in a process of its own."""
    yield Row("from transition to first byte, p95", first_bytes(), "s", "limit 2 s", 2)
    alone, beside = beside_a_dead_channel()
    yield Row(
        "beside a channel that hangs, p95", beside, "s", "limit as alone, + 10 %", alone * 1.1
    )


class _Answers(asyncio.Protocol):
    """The smallest receiver: an answer to each POST, over connections that stay."""

    served = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._wanted = 0

    def data_received(self, data: bytes) -> None:
        if not self._wanted:
            head, _, body = data.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2]
            self._wanted = int(length.partition(b"\r\n")[0]) - len(body)
        else:
            self._wanted -= len(data)
        if not self._wanted:
            _Answers.served += 1
            self._transport.write(_OK if _Answers.served % _FAILING else _BUSY)


def _add_channel(port: int) -> UUID:
    from core.actors import SYSTEM
    from notifications.services import channels

    created = channels.create(
        actor=SYSTEM,
        kind="webhook",
        name="Benchmark",
        config={"url": f"http://127.0.0.1:{port}/hook"},
        max_parallel=_PARALLEL,
    )
    return created.channel.pk


def _raise_alerts(number: int) -> float:
    """Return milliseconds of CPU per alert; a hundred share a transaction, as a flush of probes."""
    from django.db import transaction

    from core.actors import SYSTEM
    from notifications.services.emit import emit

    began = time.process_time()
    for start in range(0, _MESSAGES, 100):
        with transaction.atomic():
            for key in range(start, start + 100):
                emit(
                    actor=SYSTEM,
                    kind="check.down",
                    severity="critical",
                    status="firing",
                    dedup_key=f"check:{number}:{key}",
                    transition_seq=number,
                    title="shop is down",
                    body="HTTP 500 after 12 ms",
                    service="shop",
                    links={"Incident": "https://ops.example.com/incidents/1"},
                )
    return (time.process_time() - began) * 1000 / _MESSAGES


def _route() -> float:
    """Return milliseconds of CPU per message, each of a thread of its own."""
    from core import leases
    from notifications.services import flushing
    from notifications.services.routing import route

    held = leases.acquire(name="notifications.route", seconds=600)
    assert held is not None
    began = time.process_time()
    # So many at once would be a storm, which is one message.
    with mock.patch.object(flushing, "STORM_THREADS", 10 * _MESSAGES):
        assert route(held) == _MESSAGES
    spent = (time.process_time() - began) * 1000 / _MESSAGES
    leases.release(held)
    return spent


def _dispatch(channel_id: UUID) -> tuple[float, float]:
    from django.utils import timezone

    from core.loops import in_thread
    from notifications.models import Notification
    from notifications.services.dispatch import Dispatcher

    def waiting() -> int:
        rows = Notification.objects.pending().filter(channel=channel_id)
        rows.update(next_at=timezone.now())
        return rows.count()

    async def main() -> None:
        dispatcher = Dispatcher()
        # Retries need not wait here, so that every message is sent within the measurement.
        while await in_thread(waiting):
            await dispatcher()
            await dispatcher.drain()
        await dispatcher.close()

    return _measured(main, _MESSAGES)


def _bare(port: int) -> float:
    """Return milliseconds of CPU for one POST of the same size without any of ours."""

    async def main() -> None:
        slots = asyncio.Semaphore(_PARALLEL)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as client:

            async def post() -> None:
                async with slots, client.post(f"http://127.0.0.1:{port}/", data=b"x" * 600) as got:
                    await got.read()

            await asyncio.gather(*(post() for _ in range(_MESSAGES)))

    return _measured(main, _MESSAGES)[0]


def _measured(
    main: Callable[[], Coroutine[object, object, None]], count: int
) -> tuple[float, float]:
    cpu, began = time.process_time(), time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as event_loop:
        event_loop.run(main())
    return (time.process_time() - cpu) * 1000 / count, time.perf_counter() - began


def _claim(channel_id: UUID) -> tuple[float, float]:
    """Return milliseconds for finding the rows of a claim, and for the claim with its lease."""
    from notifications.models import Notification
    from notifications.services import claims

    rows = Notification.objects.filter(channel=channel_id).next_due().unblocked()
    spent = []
    for _ in range(_LOOKS):
        began = time.perf_counter()
        held = claims.claim(channel_id=channel_id)
        spent.append((time.perf_counter() - began) * 1000)
        assert held is not None
        claims.give_back(claim=held, messages=held.messages)
    return _in_database(rows.only("pk"), 50), min(spent)


def _list_messages(skip: int = 0) -> float:
    """Return milliseconds in the database for the rows of a list, as the API reads them."""
    from notifications.api.views import NotificationViewSet
    from notifications.models import Notification

    rows = NotificationViewSet.queryset.select_related(None).defer("payload").order_by("-id")
    if skip:
        last = Notification.objects.order_by("-id").values_list("pk", flat=True).first() or 0
        rows = rows.filter(pk__lt=last - skip)
    return _in_database(rows, 1_000)


def _in_database(rows: QuerySet[Notification], limit: int) -> float:
    """Return the milliseconds of a query, the least of some."""
    from django.db import connection

    sql, params = rows[:limit].query.sql_with_params()
    spent = []
    for _ in range(_LOOKS):
        with connection.cursor() as cursor:
            began = time.perf_counter()
            cursor.execute(sql, params)
            assert len(cursor.fetchall()) == limit
            spent.append((time.perf_counter() - began) * 1000)
    return min(spent)
