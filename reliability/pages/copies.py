"""Copies of pages that everybody may see: made now and then, and kept for when it cannot be."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import InterfaceError, OperationalError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

FRESH_SECONDS: Final = 15.0
_RETRY_SECONDS: Final = 5.0
_MOST_SHARE: Final = 0.05
"""So much of the time may be spent on making a page anew."""
_WRITE_SECONDS: Final = 60.0
_MOST: Final = 64
_NAME: Final = re.compile(r"[a-z0-9-]{1,60}")


@dataclass(frozen=True, slots=True)
class Copy:
    """A page as it was made; `is_late` once the database could not be asked for a newer one."""

    body: bytes
    made_at: float
    is_late: bool = False
    spent: float = 0.0

    @property
    def is_fresh(self) -> bool:
        """Tell whether it is new enough; one that took long to make holds longer."""
        return time.time() - self.made_at < max(FRESH_SECONDS, self.spent / _MOST_SHARE)

    @property
    def tag(self) -> str:
        """Return the entity tag of the page as it is sent."""
        late = b"late" if self.is_late else b""
        return f'"{hashlib.sha256(self.body + late).hexdigest()[:32]}"'


@dataclass(slots=True)
class _Kept:
    copy: Copy | None = None
    is_lasting: bool = False
    written_at: float = 0.0
    failed_at: float = float("-inf")
    making: threading.Lock = field(default_factory=threading.Lock)


class Copies:
    """Makes each page at most every few seconds, by one thread; the others get the last copy.

    While the database is away the last copy is given, from memory or, after a start, from a file.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def of(self, name: str, make: Callable[[], bytes | None], *, lasting: bool) -> Copy | None:
        """Return a page; None where `make` finds none.

        One that is `lasting` is kept in a file, too, and never makes room for others.
        Raises what the database raised if there is no copy.
        """
        kept = self._entry(name, is_lasting=lasting)
        last = kept.copy
        if last is not None and last.is_fresh:
            return last
        if last is not None and not kept.making.acquire(blocking=False):
            return last
        if last is None:
            kept.making.acquire()
        try:
            return self._renewed(name, kept, make)
        finally:
            kept.making.release()
            if kept.copy is None:
                self._drop(name, kept)

    def forget(self) -> None:
        """Forget what is in memory; the files stay."""
        with self._lock:
            self._kept.clear()

    def _entry(self, name: str, *, is_lasting: bool) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(name, _Kept())
            kept.is_lasting = is_lasting
            self._kept.move_to_end(name)
            others = [key for key, one in self._kept.items() if not one.is_lasting]
            for key in others[: max(len(others) - _MOST, 0)]:
                del self._kept[key]
            return kept

    def _drop(self, name: str, kept: _Kept) -> None:
        """Forget a page that is none: whoever asks for many of them drives out no other."""
        with self._lock:
            if self._kept.get(name) is kept:
                del self._kept[name]

    def _renewed(self, name: str, kept: _Kept, make: Callable[[], bytes | None]) -> Copy | None:
        # Another thread may have made it while this one waited.
        if kept.copy is not None and kept.copy.is_fresh:
            return kept.copy
        if kept.copy is not None and time.monotonic() - kept.failed_at < _RETRY_SECONDS:
            return _late(kept.copy)
        began = time.monotonic()
        try:
            body = make()
        except (OperationalError, InterfaceError):
            kept.failed_at = time.monotonic()
            kept.copy = kept.copy or _read(name)
            if kept.copy is None:
                raise
            logger.warning("The database is away; the last copy of %s is shown.", name)
            return _late(kept.copy)
        if body is None:
            return None
        kept.copy = Copy(body, time.time(), spent=time.monotonic() - began)
        if kept.is_lasting and time.monotonic() - kept.written_at >= _WRITE_SECONDS:
            kept.written_at = time.monotonic()
            _write(name, body)
        return kept.copy


def _late(copy: Copy) -> Copy:
    return Copy(copy.body, copy.made_at, is_late=True)


def _file(name: str) -> Path:
    if not _NAME.fullmatch(name):
        message = "A copy is named by small letters, digits and hyphens."
        raise ValueError(message)
    return Path(settings.OPS_DATA_DIR) / "status" / name


def _read(name: str) -> Copy | None:
    file = _file(name)
    try:
        return Copy(file.read_bytes(), file.stat().st_mtime)
    except OSError:
        return None


def _write(name: str, body: bytes) -> None:
    """Replace the file as a whole; a full disk costs only the copy."""
    file = _file(name)
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        handle, made = tempfile.mkstemp(dir=file.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(body)
            Path(made).replace(file)
        except OSError:
            Path(made).unlink(missing_ok=True)
            raise
    except OSError as error:
        logger.warning("The copy of %s could not be kept: %s", name, error)
