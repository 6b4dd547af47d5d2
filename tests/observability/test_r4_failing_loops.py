"""A loop that fails again and again shows in /readyz, while its process looks alive (R4)."""

import asyncio
import signal
import threading
import time

import pytest
from django.utils import timezone

from core.loops import Loop
from core.models import Process
from core.runner import _Runner
from observability.engine.findings import OK, State
from observability.health.workers import probe_daemon

pytestmark = pytest.mark.django_db(transaction=True)


def _daemon(**detail):
    now = timezone.now()
    Process.objects.create(
        kind="daemon", host="h", pid=1, version="0", started_at=now, beat_at=now, detail=detail
    )


def test_a_failing_loop_degrades_the_daemon():
    _daemon(failing={"reliability.probes": "2026-01-01T00:00:00+00:00"})
    found = probe_daemon()
    assert found.state is State.DEGRADED
    assert "reliability.probes" in found.reason


def test_a_daemon_without_failures_is_well():
    _daemon()
    assert probe_daemon() == OK


def test_the_runner_notes_failures_and_forgets_them_after_a_good_slice():
    fails = [True]
    slices = []

    def start():
        async def run(_held):
            slices.append(fails[0])
            if fails[0]:
                raise RuntimeError

        return run

    loop = Loop("test.loop", 0.02, 30, start, "For the test.")
    runner = _Runner([loop])
    noted = []

    def watch():
        deadline = time.monotonic() + 10
        while not runner.failing() and time.monotonic() < deadline:
            time.sleep(0.01)
        noted.append(list(runner.failing().get("failing", {})))
        fails[0] = False
        while runner.failing() and time.monotonic() < deadline:
            time.sleep(0.01)
        noted.append(list(runner.failing().get("failing", {})))
        signal.raise_signal(signal.SIGTERM)

    watcher = threading.Thread(target=watch)
    watcher.start()
    asyncio.run(runner.main())
    watcher.join()
    assert noted == [["test.loop"], []]
