"""Records that wait in a file while there is no database; each is written exactly once later."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

from audit.models import AuditSpilled
from audit.services.acts import unwatched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

logger = logging.getLogger(__name__)

_WAITING: Final = "waiting.jsonl"


def keep(texts: Mapping[str, str]) -> None:
    """Append a record to the file, and return once it is on the disk."""
    line = json.dumps({"uid": str(uuid.uuid4()), "record": dict(texts)}) + "\n"
    with _locked() as folder:
        descriptor = os.open(folder / _WAITING, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # A crash may have torn the last line; the next must not continue it.
            os.write(descriptor, f"\n{line}".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _sync(folder)


def waiting() -> int:
    """Return how many files wait."""
    folder = _folder()
    return len(list(folder.glob("*.jsonl"))) if folder.is_dir() else 0


def replay(insert: Callable[[Mapping[str, str]], Any]) -> int:
    """Write what waits; a file goes only once all its records are in the database."""
    if not waiting():
        return 0
    # One at a time: the marks of a file go with it, so nobody else may still be reading it then.
    with _locked("replay.lock") as folder:
        with _locked():
            if (folder / _WAITING).exists():
                (folder / _WAITING).replace(folder / f"replay-{uuid.uuid4().hex}.jsonl")
                _sync(folder)
        return sum(_replay(path, insert) for path in sorted(folder.glob("replay-*.jsonl")))


def _replay(path: Path, insert: Callable[[Mapping[str, str]], Any]) -> int:
    entries = list(_entries(path))
    written = 0
    for uid, texts in entries:
        with unwatched("marks of a replay are the log's own bookkeeping"):
            # The row goes with the record: a second replay of the file finds it and writes nothing.
            marks = AuditSpilled.objects
            if marks.filter(pk=uid).select_for_update().exists():
                continue
            marks.create(pk=uid)
            insert(texts)
            written += 1
    path.unlink(missing_ok=True)
    _sync(path.parent)
    with unwatched("marks of a file that is gone"):
        AuditSpilled.objects.filter(pk__in=[uid for uid, _ in entries]).delete()
    return written


def _entries(path: Path) -> Iterator[tuple[uuid.UUID, dict[str, str]]]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        # Another process has replayed it.
        return
    for line in lines:
        if not line:
            continue
        try:
            entry = json.loads(line)
            yield uuid.UUID(entry["uid"]), dict(entry["record"])
        except (ValueError, KeyError, TypeError):
            logger.error("A line of %s is torn: the record was never complete.", path.name)  # noqa: TRY400  # expected after a crash


@contextmanager
def _locked(name: str = "lock") -> Iterator[Path]:
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)


def _folder() -> Path:
    return Path(settings.OPS_DATA_DIR) / "audit" / "spill"


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
