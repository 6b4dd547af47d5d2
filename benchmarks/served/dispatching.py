"""A dispatcher at work in a process of its own, and how late its messages arrive."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notifications.models import Channel, Notification

_ROUTES = 5
# More threads of one route within a minute would be a storm, which is one message.
_OF_A_ROUTE = 18
_BESIDE = 150
_WAIT_SECONDS = 60


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # With the default of five, what comes together waits a second to be let in.
    request_queue_size = 512


class Arrivals:
    """A receiver that notes when the first byte of each message came, by its title."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        arrivals = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                now = time.time()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                arrivals.at.setdefault(json.loads(body)["event"]["title"], now)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.port = int(self._server.server_address[1])

    def wait_for(self, count: int) -> None:
        """Wait until so many messages have come."""
        end = time.monotonic() + _WAIT_SECONDS
        while len(self.at) < count:
            assert time.monotonic() < end, f"{len(self.at)} of {count} messages arrived."
            time.sleep(0.05)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def first_bytes() -> float:
    """Return seconds from the commit of a critical alert to its first byte, p95."""
    from core.actors import SYSTEM
    from notifications.services import routes
    from notifications.services.emit import emit

    with _receiving() as arrivals, _dispatching(arrivals.port):
        channel = _channel("Arrivals", arrivals.port)
        for number in range(_ROUTES):
            routes.create(
                actor=SYSTEM,
                name=f"Route {number}",
                enabled=True,
                matchers=[{"field": "kind", "op": "=", "values": [f"bench.{number}"]}],
                go_on=False,
                channels=[channel.pk],
                chain=None,
                group_by=["alert"],
                group_wait_seconds=0,
                group_interval_seconds=300,
                repeat_seconds=0,
            )
        raised = {}
        for number in range(_ROUTES * _OF_A_ROUTE):
            title = f"alert {number}"
            emit(
                actor=SYSTEM,
                kind=f"bench.{number % _ROUTES}",
                severity="critical",
                status="firing",
                dedup_key=f"bench:{number}",
                transition_seq=1,
                title=title,
            )
            raised[title] = time.time()
            time.sleep(0.13)
        arrivals.wait_for(len(raised))
        return _p95([arrivals.at[title] - at for title, at in raised.items()])


def beside_a_dead_channel() -> tuple[float, float]:
    """Return how late messages arrive alone and beside a channel that hangs, p95 in seconds."""
    with (
        _receiving() as arrivals,
        socket.create_server(("127.0.0.1", 0), backlog=512) as hanging,
        _dispatching(arrivals.port, hanging.getsockname()[1]),
    ):
        well = _channel("Well", arrivals.port)
        dead = _channel("Hangs", hanging.getsockname()[1])
        alone = _lateness(arrivals, "alone", well)
        return alone, _lateness(arrivals, "beside", well, dead)


def _lateness(arrivals: Arrivals, name: str, well: Channel, dead: Channel | None = None) -> float:
    from notifications.models import Notification

    put = {}
    before = len(arrivals.at)
    for number in range(_BESIDE):
        title = f"{name} {number}"
        rows = [_message(well, title)]
        if dead is not None:
            rows.append(_message(dead, f"{title} to nobody"))
        Notification.objects.bulk_create(rows)
        put[title] = time.time()
        time.sleep(0.1)
    arrivals.wait_for(before + len(put))
    return _p95([arrivals.at[title] - at for title, at in put.items()])


def _message(channel: Channel, title: str) -> Notification:
    from django.utils import timezone

    from notifications.models import Notification
    from notifications.models.notifications import LIFETIME

    now = timezone.now()
    return Notification(
        channel=channel,
        channel_name=channel.name,
        thread_key=title,
        seq=1,
        severity="critical",
        priority=0,
        reason="first",
        title=title,
        payload={"version": 1, "title": title, "status": "firing", "severity": "critical"},
        idempotency_key=title,
        next_at=now,
        expires_at=now + LIFETIME,
    )


def _channel(name: str, port: int) -> Channel:
    from django.test import override_settings

    from core.actors import SYSTEM
    from notifications.services import channels

    with override_settings(OPS_OUTGOING_ALLOW=(f"127.0.0.1:{port}",)):
        config = {"url": f"http://127.0.0.1:{port}/"}
        return channels.create(
            actor=SYSTEM, kind="webhook", name=name, config=config, timeout_seconds=5
        ).channel


@contextlib.contextmanager
def _receiving() -> Iterator[Arrivals]:
    arrivals = Arrivals()
    try:
        yield arrivals
    finally:
        arrivals.close()


@contextlib.contextmanager
def _dispatching(*ports: int) -> Iterator[None]:
    """Run router and dispatcher as the daemon does."""
    environment = {
        **os.environ,
        "OPS_OUTGOING_ALLOW": ",".join(f"127.0.0.1:{port}" for port in ports),
        "LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "manage.py", "notifications_dispatch"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as child:
        try:
            time.sleep(4)
            yield
        finally:
            child.terminate()


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]
