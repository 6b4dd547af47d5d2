"""Lives of dispatchers in another process, and what they leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection
from django.utils import timezone

from core.models import Lease
from notifications.models import Notification

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from tests.notifications.receivers import Receiver


def environment(*receivers: Receiver) -> dict[str, str]:
    """Return what leads another process to the database and the keyring of this test."""
    database = connection.settings_dict
    url = f"sqlite:///{database['NAME']}"
    if connection.vendor == "postgresql":
        url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database['NAME']}").geturl()
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "opsplatform.settings",
        "DATABASE_URL": url,
        "OPS_OUTGOING_ALLOW": ",".join(f"127.0.0.1:{receiver.port}" for receiver in receivers),
    }


class Lives:
    """A process that forks a dispatcher or a router for each life."""

    def __init__(self, folder: Path, *receivers: Receiver) -> None:
        self._marks = folder / "marks"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.dispatchers", str(self._marks)],
            env=_unmeasured(environment(*receivers)),
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def live(self, loop: str, how: str, number: float = 0) -> str:
        """Let one live; return `killed`, or `ended` and the number of its steps."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{loop} {how} {number}\n")
        self._process.stdin.flush()
        told = self._process.stdout.readline().strip()
        assert told.startswith(("killed", "ended")), f"The process says {told!r}."
        return told

    def steps(self, loop: str) -> int:
        """Let one live to its end; return how many steps it took."""
        return int(self.live(loop, "step", 0).split()[1])

    def begun(self) -> Counter[str]:
        """Return how often each message began to leave."""
        return self._marked("begin")

    def on_their_way(self) -> Counter[str]:
        """Return how often each message was on its way when its dispatcher died."""
        return self.begun() - self._marked("end")

    def _marked(self, wanted: str) -> Counter[str]:
        marks = map(str.split, self._marks.read_text().splitlines())
        return Counter(key for verb, key in marks if verb == wanted)


def a_minute_later() -> None:
    """Let the leases of a dead process run out."""
    past = timezone.now() - timedelta(seconds=1)
    Notification.objects.filter(lease_token__isnull=False).update(lease_until=past)
    Lease.objects.update(until=past)


def _unmeasured(variables: dict[str, str]) -> dict[str, str]:
    """Leave out what measures coverage: hundreds of lives would each write down what they ran."""
    return {
        name: value for name, value in variables.items() if not name.startswith("COVERAGE_PROCESS")
    }
