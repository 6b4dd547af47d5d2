"""Records that wait in a file while there is no database; each is written exactly once later."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import DataError, IntegrityError
from django.utils import timezone

from audit.engine.chain import BODY_FIELDS, SEPARATOR, told_time
from audit.models import AuditRecord, AuditSpilled
from audit.services.acts import unwatched
from core.actors import ActorKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

logger = logging.getLogger(__name__)

_WAITING: Final = "waiting.jsonl"
_UNREADABLE: Final = "unreadable.txt"
# Whoever puts a replayed file back, from a backup of the folder, writes nothing twice.
_KEEP: Final = timedelta(days=30)
# What a line of an earlier version may lack.
_MISSING: Final = {
    "category": "security",
    "outcome": "denied",
    "actor_kind": str(ActorKind.SYSTEM),
    "payload": "{}",
}
_UNFIT: Final = str.maketrans({"\0": "\N{REPLACEMENT CHARACTER}", SEPARATOR: " "})


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
    written, bad = 0, 0
    for line in _lines(path):
        entry = _entry(line)
        try:
            written += entry is not None and _write(*entry, insert)
        except (DataError, IntegrityError, ValueError):
            # This database will never take it; the others must not wait for it.
            entry = None
        if entry is None:
            _put_aside(path.parent, line)
            bad += 1
    if bad:
        logger.error("%s lines of %s are no records; they are in %s.", bad, path.name, _UNREADABLE)
        insert(_told(bad))
    path.unlink(missing_ok=True)
    _sync(path.parent)
    with unwatched("marks of replays that nobody can repeat by accident"):
        AuditSpilled.objects.filter(at__lt=timezone.now() - _KEEP).delete()
    return written


def _write(
    uid: uuid.UUID, texts: Mapping[str, str], insert: Callable[[Mapping[str, str]], Any]
) -> bool:
    with unwatched("marks of a replay are the log's own bookkeeping"):
        # The row goes with the record: a second replay of the line finds it and writes nothing.
        marks = AuditSpilled.objects
        if marks.filter(pk=uid).select_for_update().exists():
            return False
        marks.create(pk=uid)
        insert(texts)
    return True


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        # Another process has replayed it.
        return []
    return [line for line in text.split("\n") if line.strip()]


def _entry(line: str) -> tuple[uuid.UUID, dict[str, str]] | None:
    """Return what a line holds; None where it is torn, or holds no record."""
    try:
        entry = json.loads(line)
        uid, told = uuid.UUID(entry["uid"]), entry["record"]
        texts = {name: told.get(name, _MISSING.get(name, "")) for name in BODY_FIELDS}
        # A time that is not written as we write it would be hashed otherwise than it is stored.
        is_whole = told_time(datetime.fromisoformat(texts["at"])) == texts["at"]
        canonical = json.loads(texts["payload"])
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None
    is_text = all(isinstance(text, str) for text in texts.values())
    if not (is_text and is_whole and isinstance(canonical, dict)) or not texts["action"]:
        return None
    for name in BODY_FIELDS:
        field = AuditRecord._meta.get_field(name)
        texts[name] = texts[name].translate(_UNFIT)[: getattr(field, "max_length", None)]
    return uid, texts


def _put_aside(folder: Path, line: str) -> None:
    descriptor = os.open(folder / _UNREADABLE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _told(bad: int) -> dict[str, str]:
    """Return the record of lines that could not be read."""
    return dict.fromkeys(BODY_FIELDS, "") | {
        "at": told_time(datetime.now(UTC)),
        "category": "security",
        "action": "audit.spill_unreadable",
        "outcome": "error",
        "actor_kind": str(ActorKind.SCHEDULE),
        "actor_name": "Audit sealer",
        "reason": f"Lines of the spill folder are no records; they are kept in {_UNREADABLE}.",
        "payload": f'{{"count":{bad}}}',
    }


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
