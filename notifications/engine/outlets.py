"""The way out through any ASGI server, where ours does not write by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from notifications.engine import frames

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    Send = Callable[[Message], Awaitable[None]]


class QueuedOutlet:
    """Sends in a task of its own, one frame after the other."""

    def __init__(self, send: Send) -> None:
        self.drained: Callable[[], None] | None = None
        self._send = send
        self._task: asyncio.Task[None] | None = None
        self._last: list[Message] = []

    def write(self, frame: bytes) -> bool:
        """Take a frame; another one may follow when it is sent."""
        message = {"type": "websocket.send", "text": frames.text_of(frame)}
        self._last.append(message)
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return False

    def end(self, code: int, reason: str) -> None:
        """Close after what was written before."""
        self._last.append({"type": "websocket.close", "code": code, "reason": reason})
        if self._task is None:
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._last:
                await self._send(self._last.pop(0))
                if not self._last and self.drained is not None:
                    self.drained()
        except Exception:  # noqa: BLE001  # whatever a server raises: the client is gone
            self._last.clear()
        finally:
            self._task = None
