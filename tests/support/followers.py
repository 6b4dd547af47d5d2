"""Processes of the platform that follow the feed of access, told what to do line by line.

Run as a program it is such a process; `Follower` starts one and talks to it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]


def environment(**more: str) -> dict[str, str]:
    """Return what a process needs to share the test's database."""
    from django.db import connection

    database = connection.settings_dict
    url = f"sqlite:///{database['NAME']}"
    if connection.vendor == "postgresql":
        url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database['NAME']}").geturl()
    settings = {"DJANGO_SETTINGS_MODULE": "opsplatform.settings", "DATABASE_URL": url}
    return {**os.environ, **settings, **more}


class Follower:
    """One process."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.followers"],
            cwd=ROOT,
            env=dict(env or environment()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def ask(self, *words: str) -> str:
        """Give an order and return the answer."""
        self.say(*words)
        return self._answer()

    def say(self, *words: str) -> None:
        """Give an order whose answer is read later."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """Return the answer of the oldest order that has none yet."""
        return self._answer()

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        """Let it end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def _serve() -> None:
    import django

    django.setup()
    print("ready", flush=True)  # noqa: T201  # the answer
    for line in sys.stdin:
        order, *words = line.split()
        print(_ORDERS[order](*words), flush=True)  # noqa: T201  # the answer


def _knows(*sids: str) -> str:
    """Tell which of these sessions have ended, as a request here would find it."""
    from accounts.selectors import access

    access.fresh()
    return ",".join(sid for sid in sids if access.standing.is_ended(sid=sid)) or "none"


def _until(sid: str) -> str:
    """Wait until a session has ended here; return the time of the machine's clock."""
    from accounts.selectors import access

    end = time.monotonic() + 20
    while time.monotonic() < end:
        access.fresh()
        if access.standing.is_ended(sid=sid):
            return str(time.time())
        time.sleep(0.002)
    return "never"


def _end(sid: str, how: str = "commit") -> str:
    """End a session by a row of the feed; or change one's mind, or die after the commit."""
    from django.db import transaction

    from accounts.models import AccessChange
    from accounts.selectors import access
    from accounts.services.revocation import tell
    from core.actors import SYSTEM

    if how == "die":
        access.feed.tell = _die  # type: ignore[method-assign]
    with transaction.atomic():
        tell(kind=AccessChange.Kind.SESSION, value=sid, actor=SYSTEM)
        transaction.set_rollback(how == "roll-back")
    return str(time.time())


def _die(_row: object) -> None:
    print(time.time(), flush=True)  # noqa: T201  # the answer
    os.kill(os.getpid(), signal.SIGKILL)


def _fork(sid: str) -> str:
    """Tell when a child of this process, and when this process, knew that a session had ended."""
    _knows(sid)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        seen = _until(sid)
        os.write(writing, seen.encode())
        os._exit(0)
    os.close(writing)
    print("forked", flush=True)  # noqa: T201  # the answer
    seen = os.read(reading, 100).decode()
    os.waitpid(child, 0)
    return f"{seen} {_until(sid)}"


def _key(kid: str) -> str:
    """Tell whether a signing key is trusted here."""
    from accounts.selectors import access, signing

    access.fresh()
    return "refused" if signing.key_of(kid) is None else "trusted"


def _until_key(kid: str) -> str:
    """Wait until a signing key is refused; return how long that took."""
    began = time.monotonic()
    while _key(kid) == "trusted":
        time.sleep(0.002)
    return str(time.monotonic() - began)


_ORDERS = {
    "key": _key,
    "until_key": _until_key,
    "knows": _knows,
    "until": _until,
    "end": _end,
    "fork": _fork,
}

if __name__ == "__main__":
    _serve()
