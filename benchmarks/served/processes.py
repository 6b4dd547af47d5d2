"""Web servers in processes of their own, and what CPU they use."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers on a port of this machine."""

    port: int
    pids: tuple[int, ...]

    def cpu_ns(self) -> int:
        """Return the CPU time of its processes, to the nanosecond; the usual counters know 10 ms.

        The number of a process's clock is what clock_getcpuclockid(3) computes on Linux.
        """
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in self.pids)


@contextlib.contextmanager
def serving(*words: str) -> Iterator[Server]:
    """Start `python -m benchmarks.served` with these words, and wait until it tells its port."""
    command = [sys.executable, "-m", "benchmarks.served", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            port = int(child.stdout.readline())
            workers = psutil.Process(child.pid).children(recursive=True)
            yield Server(port, (child.pid, *(worker.pid for worker in workers)))
        finally:
            child.terminate()


def wait_until_open(port: int) -> None:
    """Wait until something listens on the port of this machine."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
