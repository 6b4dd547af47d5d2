"""What each process of the platform runs; the supervisor forks them, units start them alone."""

from __future__ import annotations

import logging
import time
import warnings
from typing import TYPE_CHECKING, Final

import uvicorn
from celery.platforms import SecurityWarning
from django.conf import settings

from core.drill import is_drill
from core.loops import all_loops
from core.models import Process
from core.processes import Reporter
from core.runner import run_loops
from notifications.services.livehub import live, statistics
from opsplatform.beat import LeasedScheduler
from opsplatform.bridge.protocol import GuardedProtocol
from opsplatform.celery import app
from opsplatform.sockets import SOCKET_OPTIONS
from opsplatform.supervisor.memory import return_large_blocks

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

_BEAT_LATE_SECONDS: Final = 60.0


class _Server(uvicorn.Server):
    """uvicorn, which lets the live hub say goodbye before it closes connections."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell every socket when to come back, then end."""
        await live.stop()
        await super().shutdown(sockets)


def run_web(sockets: list[socket.socket]) -> None:
    """Serve HTTP and sockets until SIGTERM; requests under way are finished."""
    return_large_blocks()
    config = uvicorn.Config(
        "opsplatform.asgi:application",
        log_config=None,
        access_log=False,
        server_header=False,
        # The client's address is counted in our own middleware, over the declared proxies.
        proxy_headers=False,
        lifespan="on",
        loop="uvloop",
        http=GuardedProtocol,
        timeout_graceful_shutdown=10,
        **SOCKET_OPTIONS,
    )
    with Reporter(Process.Kind.WEB, detail=statistics):
        _Server(config).run(sockets=sockets)


def run_worker() -> None:
    """Work through the queue until SIGTERM."""
    # Celery warns of root because of pickled messages; here only JSON is accepted.
    warnings.simplefilter("ignore", SecurityWarning)
    worker = app.Worker(
        pool="prefork" if settings.REDIS_URL else "threads",
        concurrency=settings.OPS_WORKER_THREADS,
        hostname=f"worker@{settings.HOSTNAME}",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    with Reporter(Process.Kind.WORKER):
        worker.start()


def run_beat() -> None:
    """Send what the schedule says until SIGTERM; of several beats one sends."""
    LeasedScheduler.ticked_at = time.monotonic()

    def ticks() -> bool:
        return time.monotonic() - LeasedScheduler.ticked_at < _BEAT_LATE_SECONDS

    with Reporter(Process.Kind.BEAT, alive=ticks):
        app.Beat(quiet=True).run()


def run_daemon(only: Sequence[str] = ()) -> None:
    """Run every loop of every app, or only those named, until SIGTERM."""
    loops = all_loops()
    chosen = [loops[name] for name in only] if only else list(loops.values())
    if is_drill():
        logger.warning("OPS_MODE=drill: no loop runs in this copy.")
        chosen = []
    run_loops(chosen, kind=Process.Kind.DAEMON)
