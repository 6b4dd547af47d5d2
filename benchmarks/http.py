"""CPU time of a request, through a real server: ours, the bridge alone, and others.

The others serve the same platform: Django's own ASGI handler, and granian, a WSGI server whose HTTP
is written in Rust, in its one worker with as many threads.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.served.processes import serving
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONNECTIONS = 8
_REQUESTS = 50
_ROUNDS = 20
# So much of the CPU of a WSGI server may the same view cost through the bridge.
_PEER_SHARE = 1.15
_REQUEST = b"GET /api/hello/ HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"


@dataclass(frozen=True, slots=True)
class _Figures:
    """What serving one request costs, and how many are served."""

    cpu_us: float
    per_second: float


def run() -> Iterator[Row]:
    """Measure a hello of the REST framework with the whole middleware, and what is below it.

    Python runs one thread at a time, and on several cores its threads take each other's caches
    along; kept on one core, the same request costs less. Both are shown.
    """
    ours, bare, peer = _measure("one-core", "platform", "bare", "granian")
    free, django, granian = _measure("", "platform", "django", "granian")
    what = "DRF hello, whole middleware"
    yield Row(f"{what}, CPU on one core", ours.cpu_us, "µs", "limit 400 µs", 400)
    yield Row(
        f"{what}, CPU on one core",
        ours.cpu_us,
        "µs",
        f"limit {_PEER_SHARE} x granian WSGI ({peer.cpu_us:.0f} µs)",
        peer.cpu_us * _PEER_SHARE,
    )
    yield Row("WSGI hello, bridge alone, CPU on one core", bare.cpu_us, "µs", what, ours.cpu_us)
    yield Row(f"{what}, CPU", free.cpu_us, "µs", "Django's ASGI handler", django.cpu_us)
    yield Row(f"{what}, CPU", free.cpu_us, "µs", "granian WSGI", granian.cpu_us)
    yield Row(
        f"{what}, {_CONNECTIONS} connections",
        free.per_second,
        "/s",
        "Django's ASGI handler",
        django.per_second,
        higher_is_better=True,
    )
    yield Row(
        f"{what}, {_CONNECTIONS} connections",
        free.per_second,
        "/s",
        "granian WSGI",
        granian.per_second,
        higher_is_better=True,
    )


def _measure(where: str, *names: str) -> list[_Figures]:
    """Ask all servers in turns, so that whatever else the machine does troubles each alike."""
    total = _REQUESTS * _CONNECTIONS
    costs: dict[str, list[float]] = {name: [] for name in names}
    rates: dict[str, list[float]] = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(serving(name, where)) for name in names}
        for server in servers.values():
            _load(server.port)
        for name, server in [*servers.items()] * _ROUNDS:
            cpu, began = server.cpu_ns(), time.perf_counter()
            _load(server.port)
            rates[name].append(total / (time.perf_counter() - began))
            costs[name].append((server.cpu_ns() - cpu) / total / 1_000)
    # The best of many short rounds is the one that others on the machine disturbed least.
    return [_Figures(min(costs[name]), max(rates[name])) for name in names]


def _load(port: int) -> None:
    failures: list[Exception] = []
    threads = [
        threading.Thread(target=_converse, args=(port, failures)) for _ in range(_CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _converse(port: int, failures: list[Exception]) -> None:
    """Make requests one after the other over one connection; each answer must be a 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            for _ in range(_REQUESTS):
                connection.sendall(_REQUEST)
                _read_answer(connection)
    except Exception as error:  # noqa: BLE001  # reported by the thread that waits
        failures.append(error)


def _read_answer(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    _, _, rest = head.lower().partition(b"content-length: ")
    missing = int(rest.split(b"\r\n", 1)[0]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(65_536))
