"""Time from nothing to `Ready:`, and what the running processes take."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psutil

from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ROOT = Path(__file__).resolve().parent.parent
_READY = re.compile(r"^Ready: ", re.MULTILINE)
_LONGEST_SECONDS = 300.0
_SETTLE_SECONDS = 5.0
_IDLE_SECONDS = 20.0


def run() -> Iterator[Row]:
    """Start from a fresh clone, then again, then watch the processes at rest."""
    with TemporaryDirectory(prefix="ops-bench-start-") as folder:
        clone, home, data = (Path(folder) / name for name in ("clone", "home", "data"))
        home.mkdir()
        subprocess.run(["git", "clone", "-q", str(_ROOT), str(clone)], check=True)
        fresh = _Run(["make", "run"], clone, data, {"HOME": str(home)})
        fresh.stop()
        yield Row("fresh clone to Ready, warm package cache", fresh.seconds, "s", "limit 60 s", 60)
        again = _Run([sys.executable, "manage.py", "up"], _ROOT, data, {})
        yield Row("start when installed to Ready", again.seconds, "s", "limit 3 s", 3)
        time.sleep(_SETTLE_SECONDS)
        processes = again.processes()
        pss = sum(process.memory_full_info().pss for process in processes) / 1024**2
        yield Row(f"memory of {len(processes)} processes, PSS", pss, "MB", "limit 300 MB", 300)
        before = _cpu_seconds(processes)
        time.sleep(_IDLE_SECONDS)
        idle = (_cpu_seconds(processes) - before) / _IDLE_SECONDS * 100
        yield Row("CPU at rest, one check, of one core", idle, "%", "goal 1 %", 1)
        yield Row("stop by SIGINT", again.stop(), "s", "limit 20 s", 20)


class _Run:
    """A platform that was started and has said `Ready:`."""

    def __init__(
        self, command: Sequence[str], folder: Path, data: Path, more: dict[str, str]
    ) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
        environment |= {
            name: v for name, v in os.environ.items() if name.startswith(("PIP_", "UV_"))
        }
        environment |= {"OPS_DATA_DIR": str(data), "OPS_PORT": str(_free_port()), **more}
        began = time.perf_counter()
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        told = ""
        while not _READY.search(told):
            line = self._process.stdout.readline() if self._process.stdout else ""
            told += line
            if not line or time.perf_counter() - began > _LONGEST_SECONDS:
                self._process.kill()
                message = f"The platform did not start:\n{told}"
                raise RuntimeError(message)
        self.seconds = time.perf_counter() - began

    def processes(self) -> list[psutil.Process]:
        """Return the supervisor and its children."""
        supervisor = psutil.Process(self._process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def stop(self) -> float:
        """Ask for the end and return how many seconds it took."""
        began = time.perf_counter()
        # Under make, the signal must reach the platform itself.
        processes = self.processes()
        target = next(
            (p for p in processes if "opsplatform: up" in " ".join(p.cmdline())), processes[0]
        )
        target.send_signal(signal.SIGINT)
        target.wait(timeout=60)
        self._process.communicate(timeout=60)
        return time.perf_counter() - began


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
