"""uvicorn's HTTP protocol, with limits on what a client sends before its request is complete."""

from __future__ import annotations

import logging
import resource
from typing import TYPE_CHECKING, Any, Final

import orjson
from django.conf import settings
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from core.headers import api_headers

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

logger = logging.getLogger(__name__)

_MOST_HEAD_BYTES: Final = 65_536
_HEAD_SECONDS: Final = 20.0
_MOST_CONNECTIONS: Final = 10_000
_COMPLAINT_SECONDS: Final = 10.0


def most_connections() -> int:
    """Return how many connections leave descriptors for files, databases and the log.

    Each may need a second one, for a body that does not fit its share of the memory.
    """
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return min(descriptors // 3, _MOST_CONNECTIONS)


class GuardedProtocol(HttpToolsProtocol):
    """Ends connections that send headers without end (431) or too slowly (408), or are too many.

    uvicorn hands a request over when its headers are complete, and waits for them for ever. A
    connection that says nothing is closed too. Looked at every 20 seconds, so a limit may be
    passed by as much.
    """

    head_seconds = _HEAD_SECONDS
    most_connections = most_connections()
    complained_at = float("-inf")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # uvicorn's signature
        super().__init__(*args, **kwargs)
        self._head_is_open = True
        self._head_bytes = 0
        self._head_began_at = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._cycles: list[RequestResponseCycle] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Begin to watch a new connection."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._complain()
            self._refuse(503, "The server has too many connections.")
            return
        self._timer = self.loop.call_later(self.head_seconds, self._check_head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._stop_timer()
        self._give_up()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Leave a socket to the WebSocket protocol."""
        self._stop_timer()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless a head does not end."""
        was_open = self._head_is_open
        super().data_received(data)
        # What came together with the end of the request before is not counted: it may be a body.
        if was_open and self._head_is_open and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self._refuse(431, "The headers are larger than 64 KiB.")

    def on_message_begin(self) -> None:
        """Begin to count a head."""
        super().on_message_begin()
        self._head_is_open = True
        self._head_bytes = 0
        self._head_began_at = self.loop.time()

    def on_headers_complete(self) -> None:
        """Hand the request over."""
        self._head_is_open = False
        super().on_headers_complete()
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete]
        self._cycles.append(self.cycle)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser cannot read."""
        self._refuse(400, msg)

    def _check_head(self) -> None:
        late = self._head_is_open and self.loop.time() >= self._head_began_at + self.head_seconds
        if not late:
            self._timer = self.loop.call_later(self.head_seconds, self._check_head)
        elif self._head_bytes:
            self._refuse(408, "The headers did not come in time.")
        else:
            self.transport.close()

    def _refuse(self, status: int, detail: str) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            # Another answer is on its way; two mixed would mislead the client.
            self._give_up()
            self.transport.close()
            return
        body = orjson.dumps({"type": "about:blank", "status": status, "detail": detail})
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *api_headers(https=settings.HTTPS),
        ]
        lines = [b"%b: %b\r\n" % header for header in headers]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self.transport.close()

    def _give_up(self) -> None:
        """Tell every request that its client is gone: uvicorn tells only the newest in the line."""
        for cycle in self._cycles:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def _complain(self) -> None:
        now = self.loop.time()
        if now - type(self).complained_at >= _COMPLAINT_SECONDS:
            type(self).complained_at = now
            logger.warning(
                "Connections over the limit are refused.", extra={"limit": self.most_connections}
            )

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
