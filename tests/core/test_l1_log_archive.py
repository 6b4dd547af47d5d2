"""Rotated log files are compressed, kept for their time, then removed."""

from __future__ import annotations

import gzip
import os

import pytest

from core import logarchive
from core.logarchive import Tidied, segments, tidy
from core.logfile import try_lock

DAY = 86_400


@pytest.fixture
def log(tmp_path):
    """Return the path of a log that is in use."""
    path = tmp_path / "app.log"
    path.write_bytes(b'{"ts":"2026-01-31T12:00:00.000Z"}\n')
    return path


def rotated(log, name, text=b"line\n", *, written_at):
    """Make a segment that was last written at a time."""
    segment = log.with_name(name)
    segment.write_bytes(text)
    os.utime(segment, (written_at, written_at))
    return segment


def later(log, seconds):
    """Return a time so long after the segments were renamed."""
    return max(s.stat().st_ctime for s in segments(log)) + seconds


def test_a_segment_is_compressed_and_keeps_its_time(log):
    segment = rotated(log, "app-20260130T000000Z-1.log", b"line\n" * 1_000, written_at=1e9)

    assert tidy(log, keep_days=36_500, now=later(log, 61)) == Tidied(compressed=1)

    (packed,) = segments(log)
    assert packed.name == "app-20260130T000000Z-1.log.gz"
    assert gzip.decompress(packed.read_bytes()) == b"line\n" * 1_000
    assert (packed.stat().st_mtime, packed.stat().st_mode & 0o777) == (1e9, 0o600)
    assert not segment.exists()


def test_a_segment_that_was_just_rotated_is_left_alone(log):
    rotated(log, "app-20260130T000000Z-1.log", written_at=1e9)

    assert tidy(log, keep_days=36_500, now=later(log, 59)) == Tidied()


def test_a_compressed_segment_is_not_compressed_again(log):
    rotated(log, "app-20260130T000000Z-1.log", written_at=1e9)
    tidy(log, keep_days=36_500, now=later(log, 61))

    assert tidy(log, keep_days=36_500, now=later(log, 61)) == Tidied()


def test_what_is_past_its_time_is_removed(log):
    rotated(log, "app-20260101T000000Z-1.log", written_at=1e9)
    rotated(log, "app-20260102T000000Z-1.log.gz", written_at=1e9 + 1)
    kept = rotated(log, "app-20260103T000000Z-1.log.gz", written_at=1e9 + 2)

    assert tidy(log, keep_days=30, now=1e9 + 2 + 30 * DAY) == Tidied(removed=2)

    assert segments(log) == [kept]
    assert log.exists()


def test_files_of_others_are_not_touched(log):
    for name in ("app.log.1", "other-20260101T000000Z-1.log", "app-notes.log", "app-x-1.txt"):
        rotated(log, name, written_at=0)

    assert segments(log) == []
    assert tidy(log, keep_days=1, now=1e12) == Tidied()


def test_segments_are_in_the_order_of_their_numbers(log):
    names = [
        "app-20260101T000000Z-2.log.gz",
        "app-20260101T000000Z-10.log",
        "app-20260102T000000Z-1.log",
    ]
    for name in reversed(names):
        rotated(log, name, written_at=0)

    assert [segment.name for segment in segments(log)] == names


def test_a_segment_that_still_grows_is_postponed(log, monkeypatch):
    segment = rotated(log, "app-20260130T000000Z-1.log", written_at=1e9)
    copy = logarchive.shutil.copyfileobj

    def copy_while_somebody_writes(source, target, size):
        copy(source, target, size)
        with segment.open("ab") as late:
            late.write(b"late\n")

    monkeypatch.setattr(logarchive.shutil, "copyfileobj", copy_while_somebody_writes)

    assert tidy(log, keep_days=36_500, now=later(log, 61)) == Tidied()
    assert segment.read_bytes() == b"line\nlate\n"
    assert sorted(p.name for p in log.parent.iterdir()) == [
        ".app.log.tidy.lock",
        segment.name,
        "app.log",
    ]


def test_a_full_disk_keeps_the_segment_and_does_the_others(log, monkeypatch):
    broken = rotated(log, "app-20260130T000000Z-1.log", written_at=1e9)
    rotated(log, "app-20260130T000000Z-2.log", written_at=1e9)
    copy = logarchive.shutil.copyfileobj

    def refuse_the_first(source, target, size):
        if source.name == str(broken):
            raise OSError(28, "No space left on device")
        copy(source, target, size)

    monkeypatch.setattr(logarchive.shutil, "copyfileobj", refuse_the_first)

    assert tidy(log, keep_days=36_500, now=later(log, 61)) == Tidied(
        compressed=1, problems=("app-20260130T000000Z-1.log: No space left on device",)
    )
    assert broken.read_bytes() == b"line\n"
    assert not broken.with_name(f".{broken.name}.part").exists()


def test_a_crash_between_the_files_is_mended(log):
    rotated(log, "app-20260130T000000Z-1.log", b"whole\n", written_at=1e9)
    rotated(log, "app-20260130T000000Z-1.log.gz", b"half", written_at=1e9)

    tidy(log, keep_days=36_500, now=later(log, 61))

    (packed,) = segments(log)
    assert gzip.decompress(packed.read_bytes()) == b"whole\n"


def test_a_second_run_at_the_same_time_does_nothing(log):
    rotated(log, "app-20260101T000000Z-1.log", written_at=0)

    with try_lock(log.with_name(".app.log.tidy.lock")):
        assert tidy(log, keep_days=1, now=1e12) == Tidied()

    assert len(segments(log)) == 1


def test_without_a_folder_there_is_nothing_to_do(tmp_path):
    assert tidy(tmp_path / "none" / "app.log", keep_days=1, now=0.0) == Tidied()
