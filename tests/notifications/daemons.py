"""A router and dispatcher in a process of their own, as operators run them, and what they say."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from tests.notifications.lives import environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from tests.notifications.receivers import Receiver

PATIENCE = 240.0


class Daemon:
    """The process; leaving it without an error asserts that it has lived to its orderly end."""

    def __init__(self, receiver: Receiver, **variables: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), "notifications_dispatch"],
            env={**environment(receiver), "LOGS_FILE": "-", "LOG_LEVEL": "INFO", **variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        was_alive = self.process.poll() is None
        try:
            self.process.terminate()
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
            self._reading.join()
            assert self.process.stderr is not None
            self.process.stderr.close()
        if kind is None:
            assert (was_alive, self.process.returncode) == (True, 0), self.lines[-20:]

    def says(self, text: str) -> bool:
        """Tell whether it has logged this."""
        return any(text in line for line in self.lines)

    def wait_for(self, happened: Callable[[], bool]) -> None:
        """Wait until something has happened while it is at work."""
        end = time.monotonic() + PATIENCE
        while not happened():
            assert self.process.poll() is None, self.lines[-20:]
            assert time.monotonic() < end, self.lines[-20:]
            time.sleep(0.05)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
