"""Append lines to one file from many threads and processes, and rotate it."""

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_CHECK_SECONDS: Final = 1.0
_CHECK_BYTES: Final = 1_048_576
_NOT_OPEN: Final = -1
_FIRST_TIME: Final = re.compile(rb'\{"ts":"(\d{4}-\d\d-\d\d)T(\d\d):(\d\d):(\d\d)')


class LogFile:
    """A log file that several processes append to.

    Each line is one `write` to a descriptor opened with O_APPEND. The kernel puts it behind all
    others, undivided, so writers need no lock, nothing waits in a buffer when a process is killed,
    and a fork copies no state that matters. This holds for local disks, not for NFS.

    Whoever first sees that the file is full, or from an earlier day (UTC), renames it to
    `<stem>-<time of its first line>-<n><suffix>`; the others follow within a second.
    """

    def __init__(self, path: Path, *, max_bytes: int, complain: Callable[[str], None]) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._complain = complain
        self._descriptor = _NOT_OPEN
        self._day = ""
        self._check_at = 0.0
        self._unchecked_bytes = 0
        self._torn = False

    def write(self, line: bytes) -> None:
        """Append one line that ends with a newline; raise OSError if it is not wholly written."""
        now = time.monotonic()
        if (
            now >= self._check_at
            or self._unchecked_bytes >= _CHECK_BYTES
            or self._descriptor == _NOT_OPEN
        ):
            self._check_at = now + _CHECK_SECONDS
            self._unchecked_bytes = 0
            self._check()
        self._unchecked_bytes += len(line)
        if self._torn:
            # A full disk may have taken half a line; the next one must not continue it.
            line = b"\n" + line
        written = 0
        try:
            written = os.write(self._descriptor, line)
        finally:
            self._torn = written < len(line)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Close the descriptor; a later write opens the file again."""
        descriptor, self._descriptor = self._descriptor, _NOT_OPEN
        self._check_at = 0.0
        if descriptor != _NOT_OPEN:
            os.close(descriptor)

    def _check(self) -> None:
        """Open the file that now has our path, and rotate it if it is time to."""
        if self._descriptor == _NOT_OPEN or not self._is_at_path():
            self._open()
        found = os.fstat(self._descriptor)
        if not found.st_size:
            self._day = _today()
        elif found.st_size >= self._max_bytes or _today() > self._day:
            try:
                self._rotate()
            except OSError as error:
                # The line can still be written, into a file that is larger than wished.
                self._complain(f"cannot rotate {self.path}: {error.strerror}")

    def _is_at_path(self) -> bool:
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))

    def _open(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        opened = os.open(self.path, flags, 0o600)
        self._day = first_time(self.path)[:10] or _today()
        if self._descriptor == _NOT_OPEN:
            self._descriptor = opened
            return
        # The number stays. If it were closed, another thread that is about to write could meet a
        # database or a socket that was given the same number.
        os.dup2(opened, self._descriptor, inheritable=False)
        os.close(opened)

    def _rotate(self) -> None:
        with try_lock(self.path.with_name(f".{self.path.name}.lock")) as taken:
            # Whoever comes second finds the lock taken, or another file at the path.
            if not taken or not self._is_at_path():
                return
            self.path.rename(self._segment_path())
        self._open()

    def _segment_path(self) -> Path:
        began = first_time(self.path) or _iso(self.path.stat().st_mtime)
        stamp = began.replace("-", "").replace(":", "")
        number = 1
        while True:
            name = f"{self.path.stem}-{stamp}-{number}{self.path.suffix}"
            segment = self.path.with_name(name)
            if not segment.exists() and not segment.with_name(f"{name}.gz").exists():
                return segment
            number += 1


def first_time(path: Path) -> str:
    """Return the time of a log's first line as `2026-01-31T23:59:59Z`, or nothing."""
    try:
        with path.open("rb") as log:
            found = _FIRST_TIME.match(log.read(64))
    except OSError:
        return ""
    if found is None:
        return ""
    day, hour, minute, second = (part.decode() for part in found.groups())
    return f"{day}T{hour}:{minute}:{second}Z"


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold the lock of this name among all processes and threads, or say that another has it.

    The file is opened anew each time, because descriptors that a fork copied share their lock.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _today() -> str:
    return _iso(time.time())[:10]
