"""What a report of a job costs, on SQLite unless DATABASE_URL is set: 4 clients, one web process.

Each client keeps its connection and reports for heartbeats in turns. The growth shows the same
with more heartbeats, and what a sweep costs when nothing is late and when all of them are.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Final

from benchmarks.served.processes import serving
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.served.processes import Server

_CLIENTS: Final = 4
_REPORTS: Final = 150
_ROUNDS: Final = 6
_SIZES: Final = (100, 1_000, 10_000)
_LATE: Final = 500
_NOBODY: Final = "00000000-0000-4000-8000-000000000000"


def run() -> Iterator[Row]:
    """Measure reports through a real server, then the sweep."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    known: list[str] = []
    with serving("platform", "one-core") as server:
        for size in _SIZES:
            known += _add(size - len(known))
            cost, rate = _measure(server, known, "")
            yield Row(f"a success, {size:,} heartbeats, CPU", cost, "ms", "limit 0.6 ms", 0.6)
        yield Row(
            f"successes of {_CLIENTS} clients", rate, "/s", "goal 500/s", 500, higher_is_better=True
        )
        cost, _ = _measure(server, known, "/start")
        yield Row("a start, CPU", cost, "ms", "limit 0.6 ms", 0.6)
        cost, _ = _measure(server, [_NOBODY], "", status=b"404")
        yield Row("an unknown address, CPU", cost, "ms", "limit 0.6 ms", 0.6)
    yield Row(f"a sweep of {_SIZES[-1]:,}, none late", _sweep(0), "ms", "limit 20 ms", 20)
    yield Row(f"a sweep, each of {_LATE} late", _sweep(_LATE), "ms", "limit 20 ms", 20)


def _add(count: int) -> list[str]:
    """Add heartbeats, each of a check of its own; half report by a cron expression."""
    from django.utils import timezone

    from audit.services.acts import unwatched
    from reliability.models import Check, CheckState, Heartbeat, Service, StateSegment

    now = timezone.now()
    with unwatched("what the benchmark measures"):
        service, _ = Service.objects.get_or_create(name="Jobs")
        checks = Check.objects.bulk_create(
            Check(service=service, kind="heartbeat", name=f"job {number}")
            for number in range(count)
        )
        CheckState.objects.bulk_create(CheckState(check_of=check, since=now) for check in checks)
        StateSegment.objects.bulk_create(
            StateSegment(check_of=check, standing="unknown", started_at=now) for check in checks
        )
        made = Heartbeat.objects.bulk_create(
            Heartbeat(
                check_of=check,
                schedule="cron" if check.pk % 2 else "period",
                cron="*/10 * * * *" if check.pk % 2 else "",
                period_seconds=600,
            )
            for check in checks
        )
    return [str(heartbeat.token) for heartbeat in made]


def _measure(
    server: Server, tokens: list[str], what: str, *, status: bytes = b"200"
) -> tuple[float, float]:
    """Return the CPU of one report in milliseconds, and how many are taken in a second."""
    # The same few from round to round: what is measured is a report, not the first one of a job.
    tokens = tokens[-_CLIENTS * 10 :]
    costs, rates = [], []
    _report(server.port, tokens, what, status)
    for _ in range(_ROUNDS):
        cpu, began = server.cpu_ns(), time.perf_counter()
        _report(server.port, tokens, what, status)
        rates.append(_CLIENTS * _REPORTS / (time.perf_counter() - began))
        costs.append((server.cpu_ns() - cpu) / (_CLIENTS * _REPORTS) / 1e6)
    # The least of several rounds: neighbours on the machine only ever add.
    return min(costs), max(rates)


def _report(port: int, tokens: list[str], what: str, status: bytes) -> None:
    failures: list[Exception] = []
    threads = [
        threading.Thread(
            target=_converse, args=(port, tokens[number::_CLIENTS], what, status, failures)
        )
        for number in range(_CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _converse(
    port: int, tokens: list[str], what: str, status: bytes, failures: list[Exception]
) -> None:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            for number in range(_REPORTS):
                token = tokens[number % len(tokens)] if tokens else _NOBODY
                request = f"GET /hb/{token}{what} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                connection.sendall(request.encode())
                answer = b""
                while b"\r\n\r\n" not in answer:
                    answer += connection.recv(65_536)
                assert answer.split(b" ", 2)[1] == status, answer
                head, _, body = answer.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
                while len(body) < length:
                    body += connection.recv(65_536)
    except Exception as error:  # noqa: BLE001  # reported by the thread that waits
        failures.append(error)


def _sweep(late: int) -> float:
    """Return the CPU of a sweep, or that of each late heartbeat, in milliseconds."""
    from datetime import timedelta

    from django.utils import timezone

    from reliability.models import Heartbeat
    from reliability.services import overdue

    now = timezone.now()
    Heartbeat.objects.filter(status="up").update(due_at=now + timedelta(hours=1))
    keys = list(Heartbeat.objects.order_by("pk").values_list("pk", flat=True)[:late])
    Heartbeat.objects.filter(pk__in=keys).update(due_at=now - timedelta(seconds=1), status="up")
    began = time.process_time()
    found = overdue.sweep()
    spent = (time.process_time() - began) * 1_000
    assert found == late
    return spent / max(late, 1)
