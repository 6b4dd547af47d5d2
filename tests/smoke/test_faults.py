"""Processes that are killed, starts that cannot succeed: nothing lost, nothing left behind."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support.platform import ROOT, Platform, wait_until

pytestmark = [pytest.mark.smoke, pytest.mark.fault, pytest.mark.timeout(180)]

_HOLDERS = (
    "from core.models import Lease;"
    "print(*Lease.objects.exclude(name='beat').values_list('holder', flat=True))"
)
_USERS = "from accounts.models import User;print(*User.objects.values_list('username', flat=True))"
NAMES = ("web", "worker", "beat", "daemon")


def _health(platform, path="/healthz"):
    connection = http.client.HTTPConnection(urlsplit(platform.url).netloc, timeout=15)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def _refused(tmp_path, **variables):
    made = Platform(tmp_path / "data", **variables)
    try:
        made.launch()
        wait_until(made.ended, seconds=30, what="the refusal")
        time.sleep(0.1)
        return made.wait(), "\n".join(made.lines), made.tree()
    finally:
        made.kill()


def test_every_process_that_is_killed_comes_back(platform):
    running = platform()
    for name in NAMES:
        before = running.child(name)
        before.kill()
        after = wait_until(
            lambda name=name, before=before: (
                (found := running.child(name)) and found.pid != before.pid and found
            ),
            seconds=60,
            what=f"a new {name}",
        )
        assert after.pid != before.pid
    wait_until(lambda: _health(running, "/readyz") == 200, seconds=60, what="ready again")
    assert sum("starting it again" in line for line in running.lines) == len(NAMES)


def test_requests_wait_while_web_is_restarted(platform):
    running = platform()
    codes = []
    done = threading.Event()

    def ask():
        while not done.is_set():
            try:
                codes.append(_health(running))
            except (OSError, http.client.HTTPException) as error:
                codes.append(type(error).__name__)
            time.sleep(0.02)

    asker = threading.Thread(target=ask)
    asker.start()
    wait_until(lambda: len(codes) > 5, what="answers")
    running.child("web").kill()
    answered = len(codes)
    wait_until(lambda: len(codes) > answered + 10, seconds=30, what="answers after the kill")
    done.set()
    asker.join()

    # The request that the dead process had taken may break; none is refused.
    assert [code for code in codes if code == "ConnectionRefusedError"] == []
    assert len([code for code in codes if code != 200]) <= 1


def test_a_killed_supervisor_leaves_no_process(platform):
    running = platform()
    os.kill(running.pid, signal.SIGKILL)
    wait_until(lambda: running.tree() == [], seconds=60, what="the end of every child")


def test_a_second_start_on_the_same_folder_is_refused(platform, tmp_path):
    running = platform()
    code, told, _ = _refused(tmp_path, DATABASE_URL=running.environment.get("DATABASE_URL", ""))
    assert code == 1
    assert f"already running as pid {running.pid}" in told


def test_a_start_after_a_kill_succeeds_and_keeps_the_admin(platform):
    running = platform()
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    running.start()
    assert _health(running) == 200
    listed = running.manage("shell", "-v0", "-c", _USERS).stdout
    assert listed.split() == ["admin"]


def test_a_start_that_was_interrupted_is_completed_by_the_next(tmp_path):
    made = Platform(tmp_path / "data")
    try:
        made.launch()
        wait_until((tmp_path / "data" / "run" / "up.lock").exists, what="the lock")
        time.sleep(1.2)
        made.kill()
        made.start()
        assert made.password
        assert made.manage("shell", "-v0", "-c", _USERS).stdout.split() == ["admin"]
    finally:
        made.kill()


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, told, left = _refused(tmp_path, OPS_PORT=str(port))
    assert (code, left) == (1, [])
    assert f"Port {port}" in told
    assert "OPS_PORT" in told
    assert "Traceback" not in told


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "data").write_text("a file stands where the folder should be")
    code, told, left = _refused(tmp_path)
    assert (code, left) == (1, [])
    assert str(tmp_path / "data") in told
    assert "OPS_DATA_DIR" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPS_PORT", "eighty"),
        ("OPS_DEBUG", "perhaps"),
        ("UPTIME_INTERVAL_SEC", "0"),
        ("DATABASE_URL", "mysql://host/db"),
        ("REDIS_URL", "http://host"),
        ("ROLES_JSON", "{"),
        ("OPS_OUTGOING_ALLOW", "somewhere"),
        ("LOG_LEVEL", "LOUD"),
        ("BASE_URL", "https://ops.example.org"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(tmp_path, name, value):
    code, told, left = _refused(tmp_path, **{name: value})
    assert (code, left) == (1, [])
    assert name in told or "OPS_TRUSTED_PROXIES" in told
    assert "Traceback" not in told


def test_an_unknown_role_stops_the_start(tmp_path):
    table = json.dumps({"k" * 40: "emperor"})
    code, told, _ = _refused(tmp_path, ROLES_JSON=table)
    assert code == 1
    assert "emperor" in told
    assert "k" * 40 not in told


def test_the_password_is_told_until_somebody_has_used_it(platform):
    running = platform()
    first = running.password
    running.stop(signal.SIGINT)
    running.password = ""
    running.start()
    assert running.password not in {"", first}


def test_a_full_disk_behind_the_terminal_ends_nothing(tmp_path):
    made = Platform(tmp_path / "data")
    with Path("/dev/full").open("w") as full:
        made.launch(stdout=full)
    try:
        url = f"http://127.0.0.1:{made.environment['OPS_PORT']}"
        made.url = url

        def answers():
            try:
                return _health(made, "/readyz") == 200
            except OSError:
                return False

        wait_until(answers, seconds=60, what="an answer")
        before = made.child("worker")
        before.kill()
        wait_until(
            lambda: (found := made.child("worker")) and found.pid != before.pid,
            seconds=60,
            what="a new worker",
        )
        assert not made.ended()
    finally:
        made.kill()


def test_another_keyring_is_refused(platform, tmp_path):
    running = platform()
    running.stop(signal.SIGINT)
    made = Platform(tmp_path / "data", **{**running.environment, "OPS_KEYRING_DIR": "other"})
    made.launch()
    made.wait()
    time.sleep(0.1)
    assert "belongs to another keyring" in "\n".join(made.lines)
    told = made.manage("prepare", "--adopt-keyring").stdout
    assert told.endswith("Prepared.\n")


def test_loops_go_on_soon_after_the_daemon_was_killed(platform):
    running = platform()
    before = running.child("daemon")
    before.kill()

    def holders():
        listed = running.manage("shell", "-v0", "-c", _HOLDERS).stdout
        return f":{running.child('daemon').pid}:" in listed and f":{before.pid}:" not in listed

    wait_until(lambda: running.child("daemon") is not None, seconds=60, what="a new daemon")
    wait_until(holders, seconds=60, what="new holders of the leases")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_in_order(platform, number):
    running = platform()
    assert running.stop(number) == 0
    assert running.tree() == []
    assert running.lines[-1] == "Stopped."


def test_the_platform_ends_with_the_process_that_started_it(tmp_path):
    made = Platform(tmp_path / "data")
    code = (
        "import subprocess, sys, time;"
        f"p = subprocess.Popen([{sys.executable!r}, 'manage.py', 'up', '--with-parent']);"
        "time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=made.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: len(made.tree()) >= 6, seconds=90, what="all processes")
        parent.kill()
        parent.wait()
        wait_until(lambda: made.tree() == [], seconds=60, what="the end of every process")
    finally:
        parent.kill()
        made.kill()


def test_a_process_that_ignores_the_signal_is_killed_at_the_deadline(platform):
    running = platform(OPS_STOP_SECONDS="2")
    worker = running.child("worker")
    worker.suspend()
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 10
    assert running.tree() == []
    assert any("worker did not end in 2 s" in line for line in running.lines)


def test_the_password_goes_to_a_file_before_ready(platform, tmp_path):
    running = platform(OPS_ADMIN_PASSWORD_FILE=str(tmp_path / "password"))
    password = (tmp_path / "password").read_text().strip()
    assert len(password) == 24
    assert not any(password in line for line in running.lines)
    log = (tmp_path / "data" / "logs" / "app.log").read_text()
    assert password not in log


def test_memory_is_shared(platform):
    running = platform()
    processes = running.tree()
    assert len(processes) >= 5
    resident = sum(p.memory_info().rss for p in processes)
    shared_out = sum(psutil.Process(p.pid).memory_full_info().pss for p in processes)
    assert shared_out < resident * 0.75
