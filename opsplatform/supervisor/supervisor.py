"""Start the processes of the platform, keep them alive, end them in order."""

from __future__ import annotations

import os
import selectors
import signal
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from django.conf import settings

from core.drill import is_drill
from opsplatform.supervisor import roles
from opsplatform.supervisor.child import Child, Lifeline, fork
from opsplatform.supervisor.readiness import Readiness
from opsplatform.supervisor.terminal import say

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_FIRST_BACK_OFF: Final = 0.5
_LONGEST_BACK_OFF: Final = 30.0
_STABLE_SECONDS: Final = 30.0
_TICK_SECONDS: Final = 0.2
_STOP_ORDER: Final = ("beat", "daemon", "web", "worker")


class Supervisor:
    """One loop over signals, output and deaths; it has no threads, so it may fork at any time."""

    def __init__(self, listener: socket.socket, *, lock: int, first_lines: list[str]) -> None:
        self._lock = lock
        self._listener = listener
        self._lifeline = Lifeline()
        self._children: dict[str, Child] = {}
        self._partial: dict[int, bytes] = {}
        self._back_off: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._selector = selectors.EpollSelector()
        self._signals: list[int] = []
        self._wake_up, self._wake_up_write = os.pipe()
        for end in (self._wake_up, self._wake_up_write):
            os.set_blocking(end, False)
        self._readiness = Readiness(listener, first_lines=first_lines)
        self._draining = settings.OPS_DATA_DIR / "run" / "draining"
        self._jobs: dict[str, Callable[[], None]] = {
            **{
                "web" if settings.OPS_WEB_WORKERS == 1 else f"web-{number}": partial(
                    roles.run_web, [listener]
                )
                for number in range(1, settings.OPS_WEB_WORKERS + 1)
            },
            "worker": self._without_listener(roles.run_worker),
        }
        if not is_drill():
            self._jobs["beat"] = self._without_listener(roles.run_beat)
            self._jobs["daemon"] = self._without_listener(roles.run_daemon)

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; a second one ends everything at once."""
        self._draining.unlink(missing_ok=True)
        self._catch_signals()
        for name in self._jobs:
            self._start(name)
        while not self._signals:
            self._turn()
            now = time.monotonic()
            for name in [name for name, due in self._due.items() if due <= now]:
                self._start(name)
            self._readiness.poll(set(self._children))
        self._stop(drain=self._signals[0] == signal.SIGTERM)

    def _turn(self) -> None:
        """Wait a little for output or a signal, pass output on, bury the dead."""
        for key, _ in self._selector.select(_TICK_SECONDS):
            if key.fd == self._wake_up:
                os.read(self._wake_up, 4096)
            else:
                self._pass_on(key.fd, key.data)
        self._bury()

    def _start(self, name: str) -> None:
        self._due.pop(name, None)
        private = [
            self._lock,
            self._selector.fileno(),
            self._wake_up,
            self._wake_up_write,
            *(child.output for child in self._children.values()),
        ]
        try:
            child = fork(name, self._jobs[name], self._lifeline, private)
        except OSError as error:
            # Too many processes or too little memory for now; the others must not suffer.
            say(f"{name} cannot be started ({error.strerror}); trying again.")
            self._due[name] = time.monotonic() + _LONGEST_BACK_OFF
            return
        self._children[name] = child
        self._selector.register(child.output, selectors.EVENT_READ, name)

    def _bury(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            dead = next((c for c in self._children.values() if c.pid == pid), None)
            if dead is not None:
                self._lose(dead, os.waitstatus_to_exitcode(status))

    def _lose(self, child: Child, code: int) -> None:
        self._pass_on(child.output, child.name)
        self._selector.unregister(child.output)
        os.close(child.output)
        self._partial.pop(child.output, None)
        # What it had started would go on with half of a process: a new one begins afresh.
        child.kill_group()
        del self._children[child.name]
        if self._signals:
            return
        lived = time.monotonic() - child.started_at
        back_off = self._back_off.get(child.name, _FIRST_BACK_OFF)
        if lived > _STABLE_SECONDS:
            back_off = _FIRST_BACK_OFF
        self._back_off[child.name] = min(back_off * 2, _LONGEST_BACK_OFF)
        self._due[child.name] = time.monotonic() + back_off
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        say(f"{child.name} ended ({how}); starting it again in {back_off:g} s.")

    def _pass_on(self, descriptor: int, name: str) -> None:
        try:
            data = os.read(descriptor, 65_536)
        except BlockingIOError:
            return
        *lines, rest = (self._partial.get(descriptor, b"") + data).split(b"\n")
        self._partial[descriptor] = rest[-65_536:]
        for line in lines:
            say(f"{name:<7}| {line.decode(errors='replace')}")

    def _stop(self, *, drain: bool) -> None:
        """Drain, end beat and daemon, then web and worker; kill what is left at the deadline."""
        deadline = time.monotonic() + settings.OPS_STOP_SECONDS
        say("Stopping; a second signal ends everything at once.")
        if drain and settings.OPS_DRAIN_SECONDS:
            # On a full disk nobody learns of the draining; the end comes all the same.
            with suppress(OSError):
                self._draining.touch()
            self._wait(lambda: False, min(time.monotonic() + settings.OPS_DRAIN_SECONDS, deadline))
        self._listener.close()
        for kind in _STOP_ORDER:
            for child in self._children.values():
                if child.name.partition("-")[0] == kind:
                    child.signal(signal.SIGTERM)
        self._wait(lambda: not self._children, deadline)
        for child in list(self._children.values()):
            say(f"{child.name} did not end in {settings.OPS_STOP_SECONDS:g} s and is killed.")
            child.kill_group()
        self._wait(lambda: not self._children, time.monotonic() + 2)
        self._draining.unlink(missing_ok=True)
        say("Stopped.")

    def _wait(self, done: Callable[[], bool], deadline: float) -> None:
        while not done() and time.monotonic() < deadline and len(self._signals) == 1:
            self._turn()

    def _catch_signals(self) -> None:
        # The descriptor wakes the selector; the list remembers what came.
        signal.set_wakeup_fd(self._wake_up_write, warn_on_full_buffer=False)
        self._selector.register(self._wake_up, selectors.EVENT_READ)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: self._signals.append(number))
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def _without_listener(self, run: Callable[[], None]) -> Callable[[], None]:
        """Have a process that does not serve close the socket, or the port outlives web."""

        def closed() -> None:
            self._listener.close()
            run()

        return closed
