"""uvicorn's WebSocket protocol, with a way out that never waits and limits on what comes in."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from notifications.services.conversation import OUTLET

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from websockets.frames import Frame
    from websockets.http11 import Request

MOST_FRAME_BYTES: Final = 65_536
"""What the protocol reads at most; the application says at 16 KiB already what is wrong."""

_LINGER_SECONDS: Final = 5.0
_MOST_UNREAD_BYTES: Final = 1_048_576
_MOST_PARTS: Final = 64
_PINGS_A_SECOND: Final = 20

# The server's own lines name each connection with its address and query; ours is enough.
_quiet = logging.getLogger("opsplatform.sockets.server")
_quiet.setLevel(logging.WARNING)


class GuardedSocket(WebSocketsSansIOProtocol):
    """Writes frames that are encoded already, and cuts off who neither reads nor leaves."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # uvicorn's signature
        super().__init__(*args, **kwargs)
        self.logger = self.conn.logger = _quiet
        self.drained: Callable[[], None] | None = None
        self._pings = 0
        self._pings_from = 0.0
        self._cut: asyncio.TimerHandle | None = None

    def handle_connect(self, event: Request) -> None:
        """Give the application this way out."""
        super().handle_connect(event)
        if not self.handshake_complete:
            extensions: dict[str, Any] = {**(self.scope["extensions"] or {}), OUTLET: self}
            self.scope["extensions"] = extensions

    async def send(self, message: Any) -> None:  # noqa: ANN401  # uvicorn's types are its own
        """Send; a handshake that was refused by an answer is complete, and no error of ours."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True

    def write(self, frame: bytes) -> bool:
        """Write a whole frame; return whether another one may follow at once."""
        if self.close_sent or self.transport.is_closing():
            # Nobody reads it, and nothing is gained by keeping it.
            return True
        self.transport.write(frame)
        return self.writable.is_set()

    def end(self, code: int, reason: str) -> None:
        """Close, without waiting for the room to write; who does not answer is cut off."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)
        self._cut = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Let what waits follow."""
        super().resume_writing()
        if self.drained is not None:
            self.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        if self._cut is not None:
            self._cut.cancel()
        self.drained = None
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End at the server's end; a client that does not read holds nothing up."""
        super().shutdown()
        self._cut = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def handle_ping(self) -> None:
        """Answer a ping; who sends many, or reads no answer, is cut off."""
        super().handle_ping()
        now = self.loop.time()
        if now - self._pings_from > 1:
            self._pings, self._pings_from = 0, now
        self._pings += 1
        unread = self.transport.get_write_buffer_size()
        if self._pings > _PINGS_A_SECOND or unread > _MOST_UNREAD_BYTES:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        """Collect the parts of a message; who sends it crumb by crumb is cut off."""
        super().handle_cont(event)
        if len(self.frames) > _MOST_PARTS:
            self.transport.abort()


SOCKET_OPTIONS: Final[dict[str, Any]] = {
    "ws": GuardedSocket,
    "ws_max_size": MOST_FRAME_BYTES,
    # Compression doubles the memory of a connection; frames are short.
    "ws_per_message_deflate": False,
    # The heartbeat is a frame of the application, which a browser's script can see.
    "ws_ping_interval": None,
    "ws_ping_timeout": None,
}
"""How uvicorn is to serve sockets."""
