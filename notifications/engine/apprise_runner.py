"""The process that Apprise runs in: reads one job, sends it, and says in JSON what came of it.

It is a program, started with `python -I`: no environment, no user's packages, and this folder is
not on the path. The guard is set before the library is loaded and cannot be taken off again.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
from pathlib import Path
from typing import Any, Final

MOST_LINES: Final = 20
LINE_CHARACTERS: Final = 500
SCHEMA_MISSING: Final = "Apprise does not know this service, or cannot read its URL."
NOT_PUBLIC: Final = (
    "The service has an address that is not public; list it in OPS_OUTGOING_ALLOW if it is yours."
)

_PROJECT: Final = str(Path(__file__).resolve().parents[2])
_FORBIDDEN: Final = (
    "ctypes.dlopen",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "pty.spawn",
    "socket.bind",
    "subprocess.Popen",
)
_OUTWARD: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
# Certificates, names and time zones; everything else of the machine is none of its business.
_READABLE: Final = (
    "/dev/null",
    "/dev/urandom",
    "/etc/ca-certificates",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/usr/lib",
    "/usr/share",
)
_CPU_SECONDS: Final = 30
_MEMORY_BYTES: Final = 1024**3
_ADDRESS_AND_PORT: Final = 2


class GuardError(PermissionError):
    """The library tried what it may not do."""


class Log(logging.Handler):
    """Keeps the last lines that the library writes, which are all it says of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines = [*self.lines, record.getMessage()[:LINE_CHARACTERS]][-MOST_LINES:]


def guard(allowed: list[str]) -> list[str]:
    """Judge from now on every connection, every file and every new process.

    Return where refused connections are noted: libraries hide the error behind one of their own.
    """
    sys.path.insert(0, _PROJECT)
    from core.addresses import Allow, Policy, is_allowed  # noqa: PLC0415  # found by the line above

    sys.path.remove(_PROJECT)
    allow = Allow.parse(allowed)
    readable = (*_READABLE, sys.prefix, sys.base_prefix, sys.exec_prefix)
    refused: list[str] = []
    # Exceptions may name a host, which a connection no longer knows.
    asked = [""]

    def judge(event: str, args: tuple[Any, ...]) -> None:
        if event in _OUTWARD:
            address = args[-1]
            known = isinstance(address, tuple) and len(address) >= _ADDRESS_AND_PORT
            if not known or not is_allowed(
                str(address[0]),
                port=int(address[1]),
                policy=Policy.OUTBOUND,
                allow=allow,
                host=asked[0],
            ):
                refused.append(NOT_PUBLIC)
                raise GuardError(NOT_PUBLIC)
        elif event == "socket.getaddrinfo":
            asked[0] = os.fsdecode(args[0]) if isinstance(args[0], str | bytes) else ""
        elif event == "open":
            _judge_file(args, readable)
        elif event.startswith(_FORBIDDEN):
            message = f"Apprise may not do this: {event}."
            raise GuardError(message)

    sys.addaudithook(judge)
    return refused


def _judge_file(args: tuple[Any, ...], readable: tuple[str, ...]) -> None:
    path, mode, flags = args[0], args[1], args[2]
    writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if isinstance(mode, str) and set(mode) & set("wax+"):
        writes = True
    name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
    if not name:
        return
    full = os.path.realpath(name)
    if writes and full != "/dev/null":
        message = "Apprise may not write files."
        raise GuardError(message)
    if not any(full == root or full.startswith(root.rstrip("/") + "/") for root in readable):
        message = "Apprise may not read files."
        raise GuardError(message)


def limit() -> None:
    """Bound what a library that goes astray can use up."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Send the job's message and return what came of it."""
    try:
        import apprise  # noqa: PLC0415  # an extra, which may be missing
    except ImportError:
        return {"result": "missing"}
    log = Log()
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [log], False
    logger.setLevel(logging.WARNING)
    asset = apprise.AppriseAsset(
        app_id="OpsPlatform",
        app_desc="OpsPlatform",
        app_url="",
        async_mode=False,
        secure_logging=True,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )
    # Loaded before the guard: it looks for its plugins in its own folder.
    service = apprise.Apprise.instantiate(job["url"], asset=asset, suppress_exceptions=True)
    if service is None:
        return {"result": "refused", "log": [SCHEMA_MISSING]}
    service.socket_connect_timeout = float(job["timeout"])
    service.socket_read_timeout = float(job["timeout"])
    refused = guard(job["allow"])
    try:
        # Said to be plain text, it is escaped for services that want HTML or Markdown.
        done = service.notify(
            body=job["body"], title=job["title"], notify_type=job["type"], body_format="text"
        )
    except Exception as error:  # noqa: BLE001  # whatever a plugin raises is a failure of its own
        done = False
        log.lines.append(f"{type(error).__name__}: {error}")
    if not done and refused:
        return {"result": "refused", "log": [refused[-1]]}
    return {"result": "sent" if done else "failed", "log": log.lines}


def main() -> None:
    """Read a job, and write the result where nothing else is written."""
    limit()
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # A plugin that prints must not spoil the answer.
    os.dup2(2, 1)
    job = json.loads(sys.stdin.buffer.read())
    json.dump(run(job), answer)
    answer.flush()


if __name__ == "__main__":
    main()
