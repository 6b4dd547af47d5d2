"""Compress the old segments of a log and remove those past their time."""

import gzip
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.logfile import try_lock

# A process follows a rotation at its next write, at most a second after the one before. A minute
# lets even a stopped and resumed one finish the line that it meant for the old file.
_REST_SECONDS: Final = 60
_DAY_SECONDS: Final = 86_400
_CHUNK_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Tidied:
    """What one run of `tidy` did; problems are texts for the log."""

    compressed: int = 0
    removed: int = 0
    problems: tuple[str, ...] = ()


def segments(path: Path) -> list[Path]:
    """Return the rotated parts of the log at this path, oldest first."""
    name = re.compile(
        rf"{re.escape(path.stem)}-(\w+)-(\d+){re.escape(path.suffix)}(?:\.gz)?", re.ASCII
    )
    found = [
        (match[1], int(match[2]), entry)
        for entry in path.parent.iterdir()
        if (match := name.fullmatch(entry.name))
    ]
    return [entry for _, _, entry in sorted(found)]


def tidy(path: Path, *, keep_days: int, now: float) -> Tidied:
    """Remove the segments last written more than keep_days ago, and compress the others.

    A second run at the same time does nothing. A file that cannot be handled is reported and does
    not keep the others waiting.
    """
    if not path.parent.is_dir():
        return Tidied()
    with try_lock(path.with_name(f".{path.name}.tidy.lock")) as taken:
        return _tidy(path, keep_days, now) if taken else Tidied()


def _tidy(path: Path, keep_days: int, now: float) -> Tidied:
    compressed = removed = 0
    problems = []
    for segment in segments(path):
        try:
            found = segment.stat()
            if found.st_mtime < now - keep_days * _DAY_SECONDS:
                segment.unlink()
                removed += 1
            elif segment.suffix != ".gz" and found.st_ctime < now - _REST_SECONDS:
                compressed += _compress(segment)
        except OSError as error:
            problems.append(f"{segment.name}: {error.strerror}")
    return Tidied(compressed, removed, tuple(problems))


def _compress(segment: Path) -> bool:
    """Replace a segment by its compressed form; return False if somebody still writes to it.

    The rename is the moment of exchange: a crash leaves the plain segment, both, or the new one.
    """
    temporary = segment.with_name(f".{segment.name}.part")
    try:
        with segment.open("rb") as plain, temporary.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
                shutil.copyfileobj(plain, packed, _CHUNK_BYTES)
            os.fsync(file.fileno())
            read = plain.tell()
            found = os.fstat(plain.fileno())
        if found.st_size != read:
            return False
        os.utime(temporary, ns=(found.st_atime_ns, found.st_mtime_ns))
        temporary.replace(segment.with_name(f"{segment.name}.gz"))
    finally:
        temporary.unlink(missing_ok=True)
    segment.unlink()
    return True
