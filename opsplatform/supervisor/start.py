"""Take the lock and the port, prepare, and hand over to the supervisor."""

from __future__ import annotations

import errno
import fcntl
import gc
import json
import os
import resource
import socket
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.management.base import CommandError

from opsplatform.supervisor.child import ask_for_signal_on_parents_death
from opsplatform.supervisor.preload import preload
from opsplatform.supervisor.prepare import FirstAdmin, prepare
from opsplatform.supervisor.static import collect_static
from opsplatform.supervisor.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PORT_SECONDS: Final = 10.0
_BACKLOG: Final = 2048
_DESCRIPTORS: Final = 65_536
_FOLDERS: Final = ("run", "tmp")


def start() -> None:
    """Run the platform; raises CommandError when it cannot begin."""
    folder: Path = settings.OPS_DATA_DIR
    # Everything that the platform writes is its own business.
    os.umask(0o077)
    _allow_many_connections()
    _make_folders(folder)
    lock, previous = _take_lock(folder / "run" / "up.lock")
    try:
        listener = listen(wait=_PORT_SECONDS if previous else 0.0)
        # Before the application is loaded, which looks once at the files that it may serve.
        collect_static()
        preload()
        gc.collect()
        first_lines = _first_lines(_prepared([lock, listener.fileno()]))
        Supervisor(listener, lock=lock, first_lines=first_lines).run()
        os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def _make_folders(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in _FOLDERS:
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        probe = folder / "run" / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        message = f"The data folder {folder} cannot be written ({error.strerror}): OPS_DATA_DIR."
        raise CommandError(message) from None


def _allow_many_connections() -> None:
    """Use as many descriptors as the system grants: probes and connections take one each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, _DESCRIPTORS) if hard != resource.RLIM_INFINITY else _DESCRIPTORS
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _take_lock(path: Path) -> tuple[int, str]:
    """Return the locked descriptor, and the pid of a run that did not end in order."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    previous = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        message = (
            f"OpsPlatform is already running as pid {previous or '?'} on {path.parent.parent}. "
            "Stop it first, or choose another OPS_DATA_DIR and OPS_PORT."
        )
        raise CommandError(message) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor, previous


def listen(*, wait: float) -> socket.socket:
    """Bind the port; a web process of a run that just died may hold it for some seconds."""
    host, port = settings.OPS_HOST, settings.OPS_PORT
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    deadline = time.monotonic() + wait
    while True:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.2)
                continue
            raise CommandError(_cannotlisten(error)) from None
        return listener


def _cannotlisten(error: OSError) -> str:
    host, port = settings.OPS_HOST, settings.OPS_PORT
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken; stop what uses it or set OPS_PORT to another."
    return f"Cannot listen on {host}:{port} ({error.strerror}); see OPS_HOST and OPS_PORT."


def _prepared(private: Sequence[int]) -> FirstAdmin | None:
    """Prepare in a process of its own, so that the supervisor never connects to the database."""
    parent = os.getpid()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if not pid:
        # A fork that outlives a killed supervisor would hold its lock and its port.
        for descriptor in (read_end, *private):
            os.close(descriptor)
        ask_for_signal_on_parents_death(parent)
        _leave_with(partial(_prepare_and_tell, write_end))
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answer:
        raw = answer.read()
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status):
        message = "The preparations failed; nothing was started."
        raise CommandError(message)
    if not raw:
        return None
    admin: FirstAdmin = json.loads(raw)
    return admin


def _prepare_and_tell(answer: int) -> None:
    admin = prepare()
    if admin is not None:
        os.write(answer, json.dumps(admin).encode())


def _leave_with(run: partial[None]) -> None:
    """Run in a fork and end there, whatever happens."""
    status = 70
    try:
        run()
        status = 0
    except SystemExit as leaving:
        sys.stderr.write(f"{leaving.code}\n")
        status = 1
    except BaseException:  # noqa: BLE001  # a fork must never return into the parent's code
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _first_lines(admin: FirstAdmin | None) -> list[str]:
    if admin is None:
        return []
    told = (
        f"Sign in as {admin['username']} with the one-time password {admin['password']} "
        "(valid for 24 hours; told at each start until it was used)"
    )
    return [told]
