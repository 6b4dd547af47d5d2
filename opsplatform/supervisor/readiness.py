"""Ask /readyz until the platform is ready, and tell the operator what is missing meanwhile."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Final

from opsplatform.supervisor.terminal import say

_FIRST_WORD_SECONDS: Final = 10.0
_NEXT_WORD_SECONDS: Final = 5.0
_ASK_SECONDS: Final = 0.1
_CONNECT_SECONDS: Final = 0.2


class Readiness:
    """Prints `Ready: <url>` once; before that, every few seconds, what is still missing."""

    def __init__(self, listener: socket.socket, *, first_lines: list[str]) -> None:
        host, port = listener.getsockname()[:2]
        self._host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not bound
        self._port = port
        self._first_lines = first_lines
        self._ready = False
        self._ask_at = 0.0
        self._began = time.monotonic()
        self._speak_at = self._began + _FIRST_WORD_SECONDS

    def poll(self, running: set[str]) -> None:
        """Ask if it is time to; cheap once the platform is ready."""
        now = time.monotonic()
        if self._ready or now < self._ask_at:
            return
        self._ask_at = now + _ASK_SECONDS
        missing = self._missing()
        if not missing:
            self._ready = True
            say(f"Ready: http://{self._shown()}:{self._port}/")
            for line in self._first_lines:
                say(line)
        elif now >= self._speak_at:
            self._speak_at = now + _NEXT_WORD_SECONDS
            waited = int(now - self._began)
            alive = ", ".join(sorted(running)) or "nothing"
            say(f"Not ready after {waited} s: {'; '.join(missing)}. Running: {alive}.")

    def _shown(self) -> str:
        """Return the name to open: localhost where it leads here, for passkeys need a name."""
        numeric = f"[{self._host}]" if ":" in self._host else self._host
        try:
            found = socket.getaddrinfo("localhost", self._port, type=socket.SOCK_STREAM)
        except OSError:
            return numeric
        addresses = {str(entry[4][0]) for entry in found}
        others = addresses - {self._host}
        is_ours = self._host in addresses and not any(map(self._answers, others))
        return "localhost" if is_ours else numeric

    def _answers(self, address: str) -> bool:
        """Tell whether something listens on our port of another address of this machine."""
        try:
            socket.create_connection((address, self._port), timeout=_CONNECT_SECONDS).close()
        except OSError:
            return False
        return True

    def _missing(self) -> list[str]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=1)
        try:
            connection.request("GET", "/readyz", headers={"Host": "localhost"})
            answer = connection.getresponse()
            body = json.loads(answer.read(65_536))
        except (OSError, ValueError, http.client.HTTPException) as error:
            return [f"web does not answer ({type(error).__name__})"]
        finally:
            connection.close()
        if answer.status == http.client.OK:
            return []
        checks = body.get("checks", {})
        return [
            f"{name}: {state.get('reason') or state.get('state')}"
            for name, state in checks.items()
            if state.get("state") == "down"
        ] or ["not ready"]
