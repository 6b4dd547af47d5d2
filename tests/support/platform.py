"""A whole platform in processes of its own, started as a user starts it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
_READY = re.compile(r"^Ready: (http://\S+)$")
_PASSWORD = re.compile(r"one-time password (\S+)")
_KEPT = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


def wait_until(condition, *, seconds=30.0, what="the condition"):
    """Return the first true value; fail when none comes in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"{what} did not come in {seconds:g} s")


def free_port():
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Platform:
    """`manage.py up` on a data folder; a context that leaves no process behind."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.password = ""
        self.url = ""
        self._process: subprocess.Popen[str] | None = None
        self.environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | {
            "OPS_DATA_DIR": str(folder),
            "OPS_PORT": str(free_port()),
            "OPS_DRAIN_SECONDS": "0",
            # Leaves /proc/<pid>/environ readable, by which tree() knows its processes.
            "SPT_NOENV": "1",
            "UPTIME_INTERVAL_SEC": "10",
            **_servers(),
            **variables,
        }

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        """Start and wait for the line that says so."""
        self.launch()
        wait_until(lambda: self.url or self.ended(), seconds=180, what="Ready")
        assert self.url, "\n".join(self.lines)

    def launch(self, stdout=subprocess.PIPE):
        """Start without waiting."""
        self.url = ""
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if stdout is not subprocess.PIPE:
            return
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def _read(self, process):
        for line in process.stdout:
            self.lines.append(line.rstrip())
            if found := _PASSWORD.search(line):
                self.password = found[1]
            if found := _READY.match(line.rstrip()):
                self.url = found[1].rstrip("/")
        process.stdout.close()

    @property
    def pid(self):
        """The supervisor's process id."""
        return self._process.pid

    def ended(self):
        """Tell whether the supervisor has ended."""
        return self._process.poll() is not None

    def wait(self):
        """Return the exit code once the supervisor has ended."""
        return self._process.wait(timeout=30)

    def stop(self, number=signal.SIGTERM, *, seconds=30):
        """Signal the supervisor; return its exit code."""
        self._process.send_signal(number)
        return self._process.wait(timeout=seconds)

    def kill(self):
        """End everything at once."""
        processes = self.tree()
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(processes, timeout=10)
        if self._process is not None:
            self._process.wait(timeout=10)

    def tree(self):
        """Every living process of this platform, also orphans: they carry its data folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("OPS_DATA_DIR") == str(self.folder):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def child(self, name):
        """Return the process of that name, or None."""
        supervisor = psutil.Process(self.pid)
        for process in supervisor.children():
            try:
                told = " ".join(process.cmdline())
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            if name in told.lower():
                return process
        return None

    def ask(self, method, path, body=None, *, key):
        """Send a request with a dashboard key; return the status and what the JSON says."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=40)
        try:
            headers = {"X-Dash-Key": key, "Content-Type": "application/json"}
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or "null")
        finally:
            connection.close()

    def manage(self, *arguments, check=True, **variables):
        """Run a management command beside the platform; return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


def _servers():
    """Return a database and a Redis number of its own, in the server profile."""
    if not settings.REDIS_URL:
        return {}
    name = f"platform_{uuid.uuid4().hex}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    database = re.sub(r"/postgres\?", f"/{name}?", os.environ["DATABASE_URL"])
    return {"DATABASE_URL": database, "REDIS_URL": re.sub(r"/\d+$", "/7", settings.REDIS_URL)}
