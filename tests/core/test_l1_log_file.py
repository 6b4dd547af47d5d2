"""One log file under many writers: nothing torn, nothing lost, rotated once."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import time_machine

from core.logarchive import segments
from core.logfile import LogFile, try_lock
from core.logs import FileHandler

PLENTY = 1 << 40
WRITER = """
import logging, sys
from core.logs import FileHandler
path, name, count, max_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
logger = logging.getLogger("writer")
logger.addHandler(FileHandler(path, max_bytes=max_bytes))
logger.setLevel("INFO")
number = 0
while number != count:
    logger.info("%s:%d:%s", name, number, "x" * (number % 3000))
    number += 1
    print(number, flush=True)
"""


def start_writer(path, name, count, max_bytes=PLENTY):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count), str(max_bytes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


def messages(*paths):
    """Return the messages of all lines; a line that is not whole fails the test."""
    return [
        json.loads(line)["message"] for path in paths for line in path.read_bytes().splitlines()
    ]


def by_writer(texts):
    """Return the numbers that each writer wrote, in the order of the lines."""
    found: dict[str, list[int]] = {}
    for text in texts:
        name, number, filler = text.split(":")
        assert len(filler) == int(number) % 3000
        found.setdefault(name, []).append(int(number))
    return found


def log_to(path, **options):
    """Return a logger that writes into a file, and its handler."""
    options.setdefault("max_bytes", PLENTY)
    handler = FileHandler(path, **options)
    logger = logging.Logger("test", level="DEBUG")  # noqa: LOG001  # one that no other test sees
    logger.addHandler(handler)
    return logger, handler


def test_four_processes_write_whole_lines(tmp_path):
    path = tmp_path / "app.log"
    writers = [start_writer(path, f"w{number}", 2_000) for number in range(4)]
    for writer in writers:
        assert writer.communicate()[1] == b""

    assert by_writer(messages(path)) == {f"w{number}": list(range(2_000)) for number in range(4)}


def test_eight_threads_write_whole_lines(tmp_path):
    path = tmp_path / "app.log"
    logger, _ = log_to(path)

    def write(name):
        for number in range(300):
            logger.info("%s:%d:%s", name, number, "x" * number)

    threads = [threading.Thread(target=write, args=(f"t{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert by_writer(messages(path)) == {f"t{number}": list(range(300)) for number in range(8)}


@pytest.mark.fault
def test_a_killed_process_loses_no_line_that_it_wrote(tmp_path):
    path = tmp_path / "app.log"
    writer = start_writer(path, "w", -1)
    told = 0
    while told < 500:
        told = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    told = int((writer.stdout.read().split() or [told])[-1])
    writer.wait()
    writer.stdout.close()
    writer.stderr.close()

    written = by_writer(messages(path))["w"]
    assert written == list(range(len(written)))
    assert told <= len(written) <= told + 1


def test_two_processes_rotate_without_losing_a_line(tmp_path):
    path = tmp_path / "app.log"
    # A check comes with each megabyte at the latest, so every file has some of those.
    writers = [start_writer(path, f"w{number}", 4_000, max_bytes=1_000_000) for number in range(2)]
    for writer in writers:
        assert writer.communicate()[1] == b""

    rotated = segments(path)
    assert 3 <= len(rotated) <= 14
    found = by_writer(messages(*rotated, path))
    assert {name: sorted(numbers) for name, numbers in found.items()} == {
        "w0": list(range(4_000)),
        "w1": list(range(4_000)),
    }
    assert all(segment.stat().st_size >= 1_000_000 for segment in rotated)


@pytest.fixture
def a_second_passes(monkeypatch):
    """Return a function that lets a second pass, as far as checks of the file are concerned."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def tick():
        now[0] += 1.0

    return tick


def test_a_process_that_writes_rarely_follows_a_rotation(tmp_path, a_second_passes):
    path = tmp_path / "app.log"
    slow, _ = log_to(path)
    slow.info("before")
    path.rename(tmp_path / "app-old-1.log")
    a_second_passes()

    slow.info("after")

    assert messages(path) == ["after"]


def test_the_first_line_of_a_day_begins_a_file(tmp_path, a_second_passes):
    path = tmp_path / "app.log"
    logger, _ = log_to(path)
    with time_machine.travel("2026-01-31T23:59:59Z", tick=False) as clock:
        logger.info("late")
        clock.move_to("2026-02-01T00:00:01Z")
        a_second_passes()
        logger.info("early")

    assert [segment.name for segment in segments(path)] == ["app-20260131T235959Z-1.log"]
    assert messages(*segments(path)) == ["late"]
    assert messages(path) == ["early"]


def test_a_restart_after_midnight_rotates_too(tmp_path):
    path = tmp_path / "app.log"
    with time_machine.travel("2026-01-31T12:00:00Z", tick=False):
        log_to(path)[0].info("yesterday")
    with time_machine.travel("2026-02-01T12:00:00Z", tick=False):
        log_to(path)[0].info("today")

    assert messages(path) == ["today"]


def test_an_empty_file_is_not_rotated(tmp_path):
    path = tmp_path / "app.log"
    path.touch()
    os.utime(path, (0, 0))

    log_to(path, max_bytes=0)[0].info("first")

    assert segments(path) == []
    assert messages(path) == ["first"]


def test_segments_of_the_same_second_get_numbers(tmp_path):
    path = tmp_path / "app.log"
    with time_machine.travel("2026-01-31T12:00:00Z", tick=False):
        for number in range(3):
            log_to(path, max_bytes=1)[0].info("line %d", number)

    assert [segment.name for segment in segments(path)] == [
        "app-20260131T120000Z-1.log",
        "app-20260131T120000Z-2.log",
    ]
    assert messages(*segments(path), path) == ["line 0", "line 1", "line 2"]


def test_who_comes_second_does_not_rotate(tmp_path):
    path = tmp_path / "app.log"
    log_to(path)[0].info("first")

    with try_lock(tmp_path / ".app.log.lock") as taken:
        log_to(path, max_bytes=1)[0].info("second")

    assert taken
    assert segments(path) == []
    assert messages(path) == ["first", "second"]


def test_who_comes_late_does_not_rotate_the_next_file(tmp_path, monkeypatch, a_second_passes):
    path = tmp_path / "app.log"
    other = tmp_path / "app-20260131T120000Z-1.log"
    late, _ = log_to(path, max_bytes=1)
    late.info("first")

    @contextlib.contextmanager
    def lock_after_another(lock):
        path.rename(other)
        log_to(path)[0].info("next")
        with try_lock(lock) as taken:
            yield taken

    monkeypatch.setattr("core.logfile.try_lock", lock_after_another)
    a_second_passes()
    late.info("second")

    assert segments(path) == [other]
    assert (messages(other), messages(path)) == (["first", "second"], ["next"])


def test_a_lock_has_one_holder_among_threads(tmp_path):
    with try_lock(tmp_path / "lock") as first, try_lock(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with try_lock(tmp_path / "lock") as third:
        assert third


def test_a_forked_child_writes_into_the_same_file(tmp_path):
    path = tmp_path / "app.log"
    logger, _ = log_to(path)
    logger.info("parent")
    child = os.fork()
    if not child:
        logger.info("child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

    assert messages(path) == ["parent", "child"]


def test_the_folder_and_the_file_are_for_their_owner(tmp_path):
    path = tmp_path / "logs" / "app.log"

    log_to(path)[0].info("first")

    assert [p.stat().st_mode & 0o777 for p in (path.parent, path)] == [0o700, 0o600]


def test_the_descriptor_keeps_its_number(tmp_path):
    path = tmp_path / "app.log"
    file = LogFile(path, max_bytes=PLENTY, complain=lambda _: None)
    file.write(b"first\n")
    other = os.dup(0)
    path.unlink()
    file._check_at = 0.0

    file.write(b"second\n")
    os.close(other)

    assert path.read_bytes() == b"second\n"
    file.close()
    file.write(b"third\n")
    assert path.read_bytes() == b"second\nthird\n"
    file.close()


def test_a_full_disk_raises_nothing_and_is_told(capfd):
    logger, handler = log_to("/dev/full")

    for number in range(3):
        logger.info("line %d", number)

    told = capfd.readouterr().err.splitlines()
    assert handler.failed == 3
    assert told[0].startswith("logging: 1 lines not written to /dev/full: OSError(28")
    assert [json.loads(line)["message"] for line in told[1:]] == ["line 0", "line 1", "line 2"]


def test_after_a_torn_line_the_next_one_is_whole(tmp_path):
    path = tmp_path / "app.log"
    logger, handler = log_to(path)
    logger.info("first")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
    try:
        logger.info("torn")
        logger.info("refused")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    logger.info("second")

    lines = path.read_bytes().splitlines()
    assert [json.loads(lines[number])["message"] for number in (0, 2)] == ["first", "second"]
    assert lines[1].startswith(b'{"ts":')
    assert (len(lines), len(lines[1]), handler.failed) == (3, 20, 2)


@pytest.mark.fault
@pytest.mark.skipif(os.geteuid() != 0, reason="Only root mounts file systems.")
def test_a_disk_that_was_full_is_used_again(tmp_path, capfd):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=False
    )
    if mounted.returncode:
        pytest.skip("This machine does not let its root mount file systems.")
    try:
        path = tmp_path / "app.log"
        logger, handler = log_to(path)
        for number in range(200):
            logger.info("%d:%s", number, "x" * 1_000)
        refused = handler.failed
        kept = len(path.read_bytes().splitlines())
        path.write_bytes(b"")
        logger.info("again")
        handler.close()

        assert refused > 100
        assert kept + refused in {200, 201}
        assert messages_but_blank(path) == ["again"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def messages_but_blank(path):
    return [json.loads(line)["message"] for line in path.read_bytes().splitlines() if line]


def test_a_file_that_cannot_be_opened_harms_nobody(tmp_path, capfd):
    (tmp_path / "logs").touch()
    logger, handler = log_to(tmp_path / "logs" / "app.log")

    logger.info("lost?")

    assert handler.failed == 1
    assert '"lost?"' in capfd.readouterr().err


def test_a_rotation_that_fails_keeps_the_line(tmp_path, capfd, monkeypatch):
    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "app.log"
    log_to(path)[0].info("first")
    monkeypatch.setattr(Path, "rename", refuse)
    logger, handler = log_to(path, max_bytes=1)

    logger.info("second")

    assert messages(path) == ["first", "second"]
    assert handler.failed == 0
    assert capfd.readouterr().err == f"logging: cannot rotate {path}: Permission denied\n"
