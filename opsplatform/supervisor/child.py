"""One forked process: started, watched, stopped, and never left behind."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import setproctitle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PR_SET_PDEATHSIG: Final = 1
_ORPHAN_SECONDS: Final = 15.0
_HANDLED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@dataclass(slots=True)
class Child:
    """A running process: its output arrives at `output`, a descriptor that does not block."""

    name: str
    pid: int
    output: int
    started_at: float

    def signal(self, number: signal.Signals) -> None:
        """Signal the main process; it passes on to its own children what they need."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return

    def kill_group(self) -> None:
        """End the process and everything it started, at once."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


class Lifeline:
    """A pipe whose writing end only the supervisor holds: its end tells children of its death."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()

    def enter_child(self) -> None:
        """Keep only the reading end, and watch it."""
        os.close(self._write_end)
        threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    def _watch(self) -> None:
        os.read(self.read_end, 1)
        # The kernel's signal asked for an orderly end; what hangs is ended here.
        time.sleep(_ORPHAN_SECONDS)
        os.killpg(os.getpgrp(), signal.SIGKILL)


def ask_for_signal_on_parents_death(parent: int) -> None:
    """Have the kernel send SIGTERM when the parent dies, and leave at once if it already has."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def fork(name: str, run: Callable[[], None], lifeline: Lifeline, private: Iterable[int]) -> Child:
    """Start `run` in a process of its own group; it ends with it.

    `private` are the supervisor's own descriptors: its lock must not outlive it in a child. The
    supervisor has loaded all code and has neither threads nor database connections, so a fork is
    safe, quick, and shares memory with its siblings. Raises OSError when the system has no room.
    """
    parent = os.getpid()
    read_end, write_end = os.pipe()
    # The collector leaves frozen objects alone; touching them would copy their pages.
    gc.freeze()
    try:
        pid = os.fork()
    except OSError:
        os.close(read_end)
        os.close(write_end)
        raise
    if pid:
        os.close(write_end)
        os.set_blocking(read_end, False)
        return Child(name, pid, read_end, time.monotonic())
    status = 70
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in _HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        ask_for_signal_on_parents_death(parent)
        os.dup2(write_end, 1)
        os.dup2(write_end, 2)
        os.close(write_end)
        os.close(read_end)
        setproctitle.setproctitle(f"opsplatform: {name}")
        for descriptor in private:
            os.close(descriptor)
        lifeline.enter_child()
        run()
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if isinstance(leaving.code, str):
            sys.stderr.write(f"{leaving.code}\n")
    except BaseException:  # noqa: BLE001  # a fork must never return into the supervisor's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
