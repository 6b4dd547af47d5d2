"""Keep what was found in a file while the database is away: a line for each batch."""

import logging
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from core.http import Certificate, Phases
from reliability.engine.batch import Batch, Flip
from reliability.engine.probe import Failure, Result
from reliability.engine.strikes import Shift, Standing, State, Tracker

logger = logging.getLogger(__name__)

MOST_BYTES = 64 * 1024 * 1024
# A line that is stored is marked where it stands: writing the file anew would cost all of it.
_STORED = b"#"


class Spill:
    """A file of batches, in their order; it survives the process, and a kill in the middle."""

    def __init__(self, path: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._is_ignored = False

    def __bool__(self) -> bool:
        """Tell whether something waits in the file."""
        return not self._is_ignored and self._path.exists()

    def add(self, batch: Batch) -> int:
        """Write a batch to the disk; return how many results were left out for want of room.

        Flips and states are never left out. Raises OSError if the disk refuses.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(file).st_size
            line, dropped = _line(batch), 0
            if size + len(line) > self._most_bytes:
                dropped = len(batch.results)
                line = _line(Batch(trackers=batch.trackers, flips=batch.flips))
            # A line that a full disk tore is ended, so that the next one can be read.
            torn = b"\n" if size and not _ends_whole(self._path) else b""
            _write(file, torn + line)
            os.fsync(file)
        finally:
            os.close(file)
        return dropped

    def batches(self) -> Iterator[Batch]:
        """Read what waits."""
        return (batch for _, batch in self.waiting())

    def waiting(self) -> Iterator[tuple[int, Batch]]:
        """Read what waits, with its place; a line that was cut off by a kill is left out.

        Raises OSError if the file cannot be read.
        """
        with self._path.open("rb") as file:
            place = 0
            for line in file:
                start, place = place, place + len(line)
                if not line.strip() or line.startswith(_STORED):
                    continue
                try:
                    batch = _batch(orjson.loads(line))
                except (ValueError, KeyError, TypeError):
                    logger.warning("A line of %s cannot be read and is left out.", self._path.name)
                else:
                    yield start, batch

    def mark(self, place: int) -> None:
        """Note that what stands there is stored, so that nobody stores it again."""
        file = os.open(self._path, os.O_WRONLY)
        try:
            os.pwrite(file, _STORED, place)
            os.fsync(file)
        finally:
            os.close(file)

    def keep_apart(self, batch: Batch) -> None:
        """Write what cannot be stored into a file beside, for a person to look at."""
        Spill(self._beside("refused"), most_bytes=self._most_bytes).add(batch)

    def set_aside(self) -> Path | None:
        """Rename a file that cannot be read; None, and it is ignored, if that is refused too."""
        beside = self._beside("unreadable")
        try:
            self._path.rename(beside)
        except OSError:
            self._is_ignored = True
            return None
        return beside

    def remove(self) -> None:
        """Forget the file once all of it is stored."""
        self._path.unlink(missing_ok=True)

    def _beside(self, what: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{what}")


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _line(batch: Batch) -> bytes:
    told = {
        "results": list(batch.results),
        "trackers": [[key, *told] for key, told in batch.trackers.items()],
        "flips": batch.flips,
    }
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def _batch(told: dict[str, Any]) -> Batch:
    batch = Batch()
    batch.results.extend(_result(one) for one in told["results"])
    batch.trackers.update(
        {key: (version, _tracker(tracker)) for key, version, tracker in told["trackers"]}
    )
    batch.flips.extend(
        Flip(
            one["check_id"],
            one["config_version"],
            _shift(one["shift"]),
            _result(one["result"]),
        )
        for one in told["flips"]
    )
    return batch


def _result(told: dict[str, Any]) -> Result:
    certificate = told["certificate"]
    return Result(
        **{
            **told,
            "at": datetime.fromisoformat(told["at"]),
            "phases": Phases(**told["phases"]),
            "failure": Failure(told["failure"]) if told["failure"] else None,
            "certificate": certificate
            and Certificate(
                datetime.fromisoformat(certificate["not_before"]),
                datetime.fromisoformat(certificate["not_after"]),
                certificate["fingerprint"],
            ),
        }
    )


def _tracker(told: dict[str, Any]) -> Tracker:
    moments = {
        name: told[name] and datetime.fromisoformat(told[name])
        for name in ("since", "streak_at", "last_at")
    }
    state, standing = State(told["state"]), Standing(told["standing"])
    return Tracker(**{**told, **moments, "state": state, "standing": standing})


def _shift(told: dict[str, Any]) -> Shift:
    return Shift(
        datetime.fromisoformat(told["at"]),
        Standing(told["before"]),
        Standing(told["after"]),
        told["restart"],
    )
