"""The live feed: what a connection holds, what connecting costs, and how late an entry comes.

The server is `manage.py web` as it is run, on SQLite unless DATABASE_URL is set; the clients count
in a process of their own, ten for each of as many people as it takes. An entry's time runs from the
moment before it is published, so it holds the commit and the wake-up. A page of the console, in a
real browser beside a thousand clients, tells when it hears of entries itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.served.processes import Server, wait_until_open
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PER_PERSON = 10
_ENTRIES = 16
_PAUSE = 0.4
_TEXT = "x" * 200
_FILES = 20_000
_MISSED = 100
_SEEN = 200
_SEEN_PAUSE = 0.1
_HEAR = """() => { window.late = []; document.addEventListener("ops:event", ({detail}) =>
  window.late.push(performance.timeOrigin + performance.now() - detail.data.t * 1000)); }"""


def run() -> Iterator[Row]:
    """Measure a thousand connections and five thousand."""
    _allow_files()
    sessions = _prepare(most=5_000)
    for count, limit in ((1_000, 150), (5_000, 1_000)):
        with _serving() as server:
            process = psutil.Process(server.pids[0])
            with _listening(server.port, 10, sessions):
                pass
            memory, cpu = process.memory_full_info().pss, server.cpu_ns()
            with _listening(server.port, count, sessions) as listeners:
                connecting = (server.cpu_ns() - cpu) / count / 1e6
                time.sleep(2)
                held = process.memory_full_info().pss - memory
                idle = server.cpu_ns()
                time.sleep(4)
                idle = server.cpu_ns() - idle
                cpu = server.cpu_ns()
                _publish()
                spent = server.cpu_ns() - cpu - idle * (_ENTRIES * _PAUSE / 4)
                told = listeners()
        assert told["closed"] == 0, told
        assert told["frames"] == count * _ENTRIES, told
        frame = max(spent, 0) / told["frames"] / 1000
        what = f"{count:,} connections"
        peer = (1_557, "Channels") if count == 5_000 else (231, "Channels")
        yield Row(f"{what}, publish to receipt, p99", told["p99"], "ms", f"limit {limit} ms", limit)
        yield Row(
            f"{what}, publish to receipt, p50",
            told["p50"],
            "ms",
            f"{peer[1]}, in the design",
            peer[0],
        )
        yield Row(f"{what}, CPU a frame", frame, "µs", "limit 40 µs", 40)
        yield Row(f"{what}, CPU to connect and sign in", connecting, "ms", "limit 10 ms", 10)
        yield Row(f"{what}, memory of one", held / count / 1024, "KB", "limit 40 KB", 40)
        yield Row(f"{what}, CPU while idle", idle / 4e7, "%", "limit 10 %", 10)
        if count == 5_000:
            yield Row(f"{what}, memory", held / 2**20, "MB", "limit 200 MB", 200)
    yield from _in_a_browser(1_000, sessions)
    yield _returning(1_000, sessions)


def _in_a_browser(count: int, sessions: list[str]) -> Iterator[Row]:
    """Measure how late a page hears of entries while so many clients hear of them, too."""
    from opsplatform.testing import chromium

    path = chromium.find()
    if path is None:
        return
    from playwright.sync_api import sync_playwright

    with (
        _serving() as server,
        _listening(server.port, count, sessions) as report,
        sync_playwright() as playwright,
        ThreadPoolExecutor(1) as publisher,
    ):
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = _page_of(browser, server.port, sessions[-1])
        # The browser's loop and the database share no thread.
        work = publisher.submit(_publish, _SEEN, _SEEN_PAUSE)
        while not work.done():
            page.wait_for_timeout(100)
        work.result()
        late = sorted(page.evaluate("window.late"))
        browser.close()
        told = report()
    assert len(late) == _SEEN, len(late)
    assert told["frames"] == count * _SEEN, told
    what = f"a page in Chromium beside {count:,} connections, publish to script"
    yield Row(f"{what}, p99", late[int(_SEEN * 0.99) - 1], "ms", "limit 300 ms", 300)
    yield Row(f"{what}, p50", late[_SEEN // 2], "ms", "limit 300 ms", 300)


def _page_of(browser: Any, port: int, session: str) -> Any:  # noqa: ANN401
    """Open a page of the console that is live and notes how late it hears."""
    from django.conf import settings

    address = f"http://127.0.0.1:{port}/"
    context = browser.new_context()
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": session, "url": address}])
    page = context.new_page()
    page.goto(f"{address}account/")
    page.wait_for_selector("html[data-live=live]", state="attached")
    page.evaluate(_HEAR)
    return page


def _returning(count: int, sessions: list[str]) -> Row:
    """Measure how long clients take to connect again and catch up on what they missed."""
    from notifications.services import live

    newest = 0
    for _ in range(_MISSED):
        newest = live.publish("topic:alerts", "alert", {"t": time.time(), "title": _TEXT})
    with _serving() as server:
        with _listening(server.port, 10, sessions):
            pass
        began = time.monotonic()
        with _listening(server.port, count, sessions, cursor=newest - _MISSED) as report:
            seconds = time.monotonic() - began
            told = report()
    assert told["frames"] == count * _MISSED, told
    what = f"{count:,} clients come back and catch up {_MISSED} entries each"
    return Row(what, seconds, "s", "limit 10 s", 10)


def _allow_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _prepare(*, most: int) -> list[str]:
    """Make people who may see alerts, and sign them in; return their session keys."""
    import django

    django.setup()
    from django.contrib.auth import login
    from django.contrib.auth.models import Group
    from django.core.management import call_command
    from django.db import transaction
    from django.http import HttpRequest

    from accounts.authentication.sessionstore import SessionStore
    from accounts.models import User

    call_command("migrate", verbosity=0)
    keys = []
    with transaction.atomic():
        group = Group.objects.get(name="operator")
        for number in range(most // _PER_PERSON):
            user = User(username=f"listener{number}", is_staff=True, password="!")  # noqa: S106  # opens nothing
            user.save()
            user.groups.add(group)
            request = HttpRequest()
            request.session = SessionStore()
            login(request, user)
            keys.append(str(request.session.session_key))
    return keys


@contextlib.contextmanager
def _serving() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "OPS_PORT": str(port),
        "OPS_RATE_LIMIT": "1000000",
        "WS_MAX_CONNECTIONS": "10000",
        "LOG_LEVEL": "WARNING",
    }
    with subprocess.Popen([sys.executable, "manage.py", "web"], env=environment) as child:
        try:
            wait_until_open(port)
            yield Server(port, (child.pid,))
        finally:
            child.terminate()


@contextlib.contextmanager
def _listening(
    port: int, count: int, sessions: list[str], cursor: int | None = None
) -> Iterator[Callable[[], dict[str, float]]]:
    """Connect so many clients; give what asks for their report."""
    people = sessions[: max(1, count // _PER_PERSON)]
    command = [sys.executable, "-m", "benchmarks.served.listeners", str(port), str(count)]
    command += [] if cursor is None else [str(cursor)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        source, answers = child.stdin, child.stdout

        def report() -> dict[str, float]:
            source.write("report\n")
            source.flush()
            found: dict[str, float] = json.loads(answers.readline())
            return found

        try:
            source.write(" ".join(people) + "\n")
            source.flush()
            assert answers.readline() == "ready\n"
            yield report
        finally:
            child.kill()


def _publish(entries: int = _ENTRIES, pause: float = _PAUSE) -> None:
    """Publish entries of about 300 bytes at an even pace."""
    from django.db import connection

    from notifications.services import live

    for _ in range(entries):
        began = time.time()
        live.publish("topic:alerts", "alert", {"t": began, "title": _TEXT})
        time.sleep(max(0.0, began + pause - time.time()))
    time.sleep(1)
    if threading.current_thread() is not threading.main_thread():
        connection.close()
