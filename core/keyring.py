"""The platform's own secrets: versioned files that only the service user can read."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import stat
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_RECHECK_SECONDS: Final = 5.0
_VALID_STATES: Final = ("current", "previous")


class KeyringError(Exception):
    """The ring cannot be trusted or read; the message names the path, never a value."""


class Version(TypedDict):
    """One value of a secret."""

    v: int
    state: str
    created: str
    value: str


class Keyring:
    """Reads and creates secrets below one folder, one file each.

    The folder has mode 0700 and the files 0600. A file is replaced as a whole, so a reader sees the
    old one or the new one. Symbolic links, other owners and wider modes are refused: whoever can
    write there can impersonate the platform.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cache: dict[str, tuple[float, int, list[Version]]] = {}

    def ensure(self, name: str, *, nbytes: int = 48) -> str:
        """Return the current value, creating a random one the first time.

        Two processes that start at once agree on one value. Raises KeyringError.
        """
        if not self._path(name).exists():
            with self._locked():
                if not self._path(name).exists():
                    created = datetime.now(tz=UTC).isoformat(timespec="seconds")
                    value = secrets.token_urlsafe(nbytes)
                    self._write(name, [Version(v=1, state="current", created=created, value=value)])
        return self.current(name)

    def current(self, name: str) -> str:
        """Return the value to use for new work; raises KeyringError if there is none."""
        for version in self._versions(name):
            if version["state"] == "current":
                return version["value"]
        message = f"{self._path(name)} holds no current value."
        raise KeyringError(message)

    def all_valid(self, name: str) -> list[str]:
        """Return the values that are still accepted, the current one first."""
        found = [v for v in self._versions(name) if v["state"] in _VALID_STATES]
        return [v["value"] for v in sorted(found, key=lambda v: _VALID_STATES.index(v["state"]))]

    def versions(self, name: str) -> list[Version]:
        """Return every version there is, none for a secret that was never made."""
        try:
            return self._versions(name)
        except KeyringError:
            if self._path(name).exists():
                raise
            return []

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            message = f"{name!r} is no name of a secret."
            raise KeyringError(message)
        return self.folder / f"{name}.json"

    def _versions(self, name: str) -> list[Version]:
        now = time.monotonic()
        cached = self._cache.get(name)
        if cached is not None and now - cached[0] < _RECHECK_SECONDS:
            return cached[2]
        path = self._path(name)
        try:
            changed = path.lstat().st_mtime_ns
            if cached is not None and cached[1] == changed:
                versions = cached[2]
            else:
                self._refuse_if_exposed(path)
                versions = list(json.loads(path.read_bytes())["versions"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"The secret file {path} cannot be read ({type(error).__name__})."
            raise KeyringError(message) from None
        self._cache[name] = (now, changed, versions)
        return versions

    def _refuse_if_exposed(self, path: Path) -> None:
        for place, mode in ((self.folder, 0o700), (path, 0o600)):
            found = place.lstat()
            if stat.S_ISLNK(found.st_mode):
                message = f"{place} is a symbolic link; put the real one there."
                raise KeyringError(message)
            if found.st_uid != os.geteuid():
                message = f"{place} belongs to another user; the service user must own it."
                raise KeyringError(message)
            if stat.S_IMODE(found.st_mode) & ~mode:
                message = f"{place} is open to others; run: chmod {mode:o} {place}"
                raise KeyringError(message)

    def _write(self, name: str, versions: list[Version]) -> None:
        content = json.dumps({"name": name, "versions": versions}, indent=1).encode()
        # mkstemp creates with O_EXCL and mode 0600; in this folder, so that the rename is atomic.
        descriptor, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path(name))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._cache.pop(name, None)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            message = f"Secrets cannot be written below {self.folder} ({error.strerror})."
            raise KeyringError(message) from None
