"""Put the probes together: may this platform be sent work, and why not."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import connections

from observability.engine.findings import Finding, State, down
from observability.health import audit, beat, broker, database, disk, migrations, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

logger = logging.getLogger(__name__)

_READY_CACHE_SECONDS: Final = 2.0
# Whoever waits for a start asks often, and wants to know soon.
_UNREADY_CACHE_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Probe:
    """A look at one part, and how long it may take."""

    name: str
    look: Callable[[], Finding]
    timeout_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """What all probes found."""

    findings: Mapping[str, Finding]

    @property
    def is_ready(self) -> bool:
        """Say whether nothing is down."""
        return all(finding.state is not State.DOWN for finding in self.findings.values())


_ALWAYS: Final = (
    Probe("database", database.probe),
    Probe("migrations", migrations.probe, timeout_seconds=5.0),
    Probe("disk", disk.probe, timeout_seconds=1.0),
)
_UNLESS_DRILL: Final = (
    Probe("broker", broker.probe, timeout_seconds=2.5),
    Probe("worker", workers.probe_worker),
    Probe("daemon", workers.probe_daemon),
    Probe("beat", beat.probe),
    Probe("audit", audit.probe),
)


class ReadinessCheck:
    """Runs the probes at most so often; whoever asks in between gets the last answer."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = probes
        self._lock = threading.Lock()
        self._last: Readiness | None = None
        self._fresh_until = 0.0
        self._hanging: dict[str, threading.Thread] = {}

    def current(self) -> Readiness:
        """Return what the probes found a moment ago.

        While one request looks, the others get the answer before: a database that hangs must not
        keep all threads of the server here.
        """
        previous = self._last
        if not self._lock.acquire(blocking=previous is None) and previous is not None:
            return previous
        try:
            return self._fresh()
        finally:
            self._lock.release()

    def _fresh(self) -> Readiness:
        if self._last is not None and time.monotonic() < self._fresh_until:
            return self._last
        readiness = self._look()
        self._tell_changes(readiness)
        self._last = readiness
        kept = _READY_CACHE_SECONDS if readiness.is_ready else _UNREADY_CACHE_SECONDS
        self._fresh_until = time.monotonic() + kept
        return readiness

    def _look(self) -> Readiness:
        """Run all probes at the same time, each in a thread that may be given up."""
        found: dict[str, Finding] = {}
        threads: dict[str, threading.Thread] = {}
        began = time.monotonic()
        for probe in self._probes:
            if (hanging := self._hanging.get(probe.name)) is not None and hanging.is_alive():
                continue
            thread = threading.Thread(
                target=_run, args=(probe, found), name=f"health-{probe.name}", daemon=True
            )
            threads[probe.name] = thread
            thread.start()
        for probe in self._probes:
            if (started := threads.get(probe.name)) is not None:
                started.join(max(0.0, began + probe.timeout_seconds - time.monotonic()))
        self._hanging |= {name: thread for name, thread in threads.items() if thread.is_alive()}
        # A copy: a thread that was given up may still write into the other.
        answers = dict(found)
        silent = down("gave no answer in time")
        return Readiness({probe.name: answers.get(probe.name, silent) for probe in self._probes})

    def _tell_changes(self, readiness: Readiness) -> None:
        before = {} if self._last is None else self._last.findings
        for name, finding in readiness.findings.items():
            if finding != before.get(name, Finding(State.OK)):
                level = logging.INFO if finding.state is State.OK else logging.WARNING
                logger.log(level, "Health of %s: %s %s", name, finding.state, finding.reason)


def probes(mode: str) -> tuple[Probe, ...]:
    """Return what is asked in a mode: a restored copy, in a drill, runs without processes."""
    return _ALWAYS if mode == "drill" else (*_ALWAYS, *_UNLESS_DRILL)


def is_draining() -> bool:
    """Say whether the supervisor is about to stop the platform, so that no more work is sent."""
    return (Path(settings.OPS_DATA_DIR) / "run" / "draining").exists()


def _run(probe: Probe, found: dict[str, Finding]) -> None:
    try:
        found[probe.name] = probe.look()
    except Exception:
        logger.exception("The health probe of %s failed.", probe.name)
        found[probe.name] = down("cannot be judged")
    finally:
        connections.close_all()


check: Final = ReadinessCheck(probes(settings.OPS_MODE))
