"""Clients of the live feed that count, in a process of their own.

`python -m benchmarks.served.listeners PORT COUNT [CURSOR]` reads session keys from the first line
of its input. Each further line asks for a report: frames, and how late they were in milliseconds.
With a cursor, clients catch up from there before they count as ready.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
import time
from typing import TYPE_CHECKING, cast

import uvloop

if TYPE_CHECKING:
    from collections.abc import Mapping

_AT_ONCE = 50
_SENT = re.compile(rb'"t":([0-9.]+)')
_HANDSHAKE = (
    "GET /ws/notifications HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: {key}\r\nCookie: ops_session={session}\r\n\r\n"
)


class Listener(asyncio.Protocol):
    """One client, as small as it can be: it follows alerts and answers pings."""

    late: list[float] = []
    closed = 0
    cursors: dict[str, int] = {}

    def __init__(self, handshake: bytes, ready: asyncio.Future[None]) -> None:
        self._handshake = handshake
        self._ready = ready
        self._buffer = b""
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._handshake)

    def data_received(self, data: bytes) -> None:
        """Take whole frames out of what came."""
        now = time.time()
        buffer = self._buffer + data
        if not self._open:
            head, found, rest = buffer.partition(b"\r\n\r\n")
            if found:
                assert head.startswith(b"HTTP/1.1 101"), head
                self._open, buffer = True, rest
        while self._open and len(buffer) > 1:
            length, start = buffer[1], 2
            if length == 126:
                length, start = int.from_bytes(buffer[2:4]), 4
            if len(buffer) < start + length:
                break
            self._take(buffer[0] & 15, buffer[start : start + length], now)
            buffer = buffer[start + length :]
        self._buffer = buffer

    def connection_lost(self, exc: Exception | None) -> None:
        """Count who was sent away."""
        Listener.closed += 1
        if not self._ready.done():
            self._ready.set_exception(exc or ConnectionError("closed"))

    def _take(self, kind: int, frame: bytes, now: float) -> None:
        if frame.startswith(b'{"type":"event"'):
            sent = _SENT.search(frame)
            assert sent is not None
            Listener.late.append((now - float(sent[1])) * 1000)
        elif frame.startswith(b'{"type":"ping"'):
            self._say({"type": "pong"})
        elif frame.startswith(b'{"type":"hello"'):
            asked = {"type": "subscribe", "topics": ["alerts"], "cursors": Listener.cursors}
            self._say(asked)
        elif frame.startswith(b'{"type":"subscribed"'):
            self._ready.set_result(None)
        elif kind == 8 and not self._ready.done():
            self._ready.set_exception(ConnectionError(f"closed: {frame!r}"))

    def _say(self, told: Mapping[str, object]) -> None:
        text = json.dumps(told).encode()
        # A mask of zeros is a mask.
        self._transport.write(bytes((0x81, 0x80 | len(text))) + bytes(4) + text)


async def _connect(port: int, sessions: list[str], number: int, slots: asyncio.Semaphore) -> None:
    loop = asyncio.get_running_loop()
    key = base64.b64encode(os.urandom(16)).decode()
    session = sessions[number % len(sessions)]
    handshake = _HANDSHAKE.format(port=port, key=key, session=session).encode()
    async with slots:
        ready: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(lambda: Listener(handshake, ready), "127.0.0.1", port)
        await ready


async def _main(port: int, count: int) -> None:
    loop = asyncio.get_running_loop()
    sessions = (await loop.run_in_executor(None, sys.stdin.readline)).split()
    slots = asyncio.Semaphore(_AT_ONCE)
    await asyncio.gather(*(_connect(port, sessions, n, slots) for n in range(count)))
    print("ready", flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        late, Listener.late = sorted(Listener.late), []
        told = {
            "frames": len(late),
            "p50": late[len(late) // 2] if late else 0,
            "p99": late[int(len(late) * 0.99)] if late else 0,
            "closed": Listener.closed,
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if sys.argv[3:]:
            Listener.cursors = {"topic:alerts": int(sys.argv[3])}
        runner.run(_main(int(sys.argv[1]), int(sys.argv[2])))
