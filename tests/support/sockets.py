"""Clients and servers of the live feed, for tests of what goes between them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import uvicorn
from django.conf import settings
from django.contrib.auth import login
from django.db import connections
from django.http import HttpRequest

from accounts.authentication.sessionstore import SessionStore
from notifications.consumers import Consumer
from notifications.services import livehub
from notifications.services.livehub import LiveHub
from opsplatform.bridge.protocol import GuardedProtocol
from opsplatform.sockets import SOCKET_OPTIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from accounts.models import User

PATH = "/ws/notifications"
KEY = "k" * 40
PATIENCE = 40
_TALKING: set[asyncio.Task[None]] = set()


class Tape:
    """A way out that records, and takes nothing while it is stopped."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.ended: tuple[int, str] | None = None
        self.stopped = False
        self.drained: Callable[[], None] | None = None

    def write(self, frame: bytes) -> bool:
        assert self.ended is None
        self.frames.append(frame)
        return not self.stopped

    def end(self, code: int, reason: str) -> None:
        assert self.ended is None
        self.ended = (code, reason)

    def go_on(self) -> None:
        """Read again."""
        self.stopped = False
        assert self.drained is not None
        self.drained()


@contextlib.contextmanager
def looks() -> Iterator[list[float]]:
    """Note each moment at which a hub begins to judge who may still listen."""
    found: list[float] = []
    real = livehub.still_granted

    def counted(*args: Any) -> Any:
        found.append(time.monotonic())
        return real(*args)

    livehub.still_granted = counted  # type: ignore[assignment]  # of the same kind
    try:
        yield found
    finally:
        livehub.still_granted = real


async def until(is_so: Callable[[], Any]) -> None:
    """Wait until it is so, however long the machine takes."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110  # nothing announces it
            await asyncio.sleep(0.02)


async def in_db(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run code that uses the database beside the event loop, and leave no connection behind."""

    def call() -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(call)


def sign_in(user: User) -> str:
    """Return the cookie of a new session of a person."""
    request = HttpRequest()
    request.session = SessionStore()
    login(request, user)
    request.session.save()
    return str(request.session.session_key)


def cookie(session: str) -> dict[str, str]:
    """Return the headers of our own page in the browser of who holds the session."""
    return {
        "cookie": f"{settings.SESSION_COOKIE_NAME}={session}",
        "origin": "http://localhost",
    }


class Line:
    """One connection to the consumer, without a server between."""

    def __init__(
        self,
        live: LiveHub,
        headers: dict[str, str] | None = None,
        door: Consumer | None = None,
        **scope: Any,
    ) -> None:
        headers = {"host": "localhost", **(headers or {})}
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.scope = {
            "type": "websocket",
            "path": PATH,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.1", 4711),
            "extensions": {"websocket.http.response": {}},
            **scope,
        }
        self._incoming.put_nowait({"type": "websocket.connect"})
        door = door or Consumer(live)
        self.task = asyncio.create_task(door(self.scope, self._incoming.get, self._outgoing.put))
        # The event loop alone would not keep it.
        _TALKING.add(self.task)
        self.task.add_done_callback(_TALKING.discard)

    async def message(self) -> dict[str, Any]:
        """Return the next message to the server."""
        async with asyncio.timeout(PATIENCE):
            return await self._outgoing.get()

    async def accepted(self) -> Line:
        """Expect the handshake to succeed."""
        assert (await self.message())["type"] == "websocket.accept"
        return self

    async def frame(self, kind: str = "") -> Any:
        """Return the next frame, or the next of a kind; others in between are left out."""
        while True:
            message = await self.message()
            assert message["type"] == "websocket.send", message
            told = json.loads(message["text"])
            if kind in {"", told["type"]}:
                return told

    async def closed(self) -> int:
        """Return the code that ends the connection, past all frames before it."""
        while (message := await self.message())["type"] == "websocket.send":
            continue
        assert message["type"] == "websocket.close", message
        return int(message["code"])

    async def refused(self) -> tuple[int, Any]:
        """Return the status and the problem by which the handshake was refused."""
        start, body = await self.message(), await self.message()
        assert start["type"] == "websocket.http.response.start", start
        await self.task
        return start["status"], json.loads(body["body"])

    def say(self, text: str | dict[str, Any]) -> None:
        """Send a frame."""
        text = text if isinstance(text, str) else json.dumps(text)
        self._incoming.put_nowait({"type": "websocket.receive", "text": text})

    def give(self, message: dict[str, Any]) -> None:
        """Send any message of the server."""
        self._incoming.put_nowait(message)

    async def leave(self) -> None:
        """Close the connection from the client's side."""
        self.give({"type": "websocket.disconnect", "code": 1001})
        async with asyncio.timeout(PATIENCE):
            await self.task

    async def subscribe(self, *topics: str, **cursors: int) -> Any:
        """Greet and follow topics; return hello."""
        hello = await self.frame("hello")
        told = {f"topic:{name}": seq for name, seq in cursors.items()}
        self.say({"type": "subscribe", "topics": list(topics), "cursors": told})
        return hello


async def come_back(live: LiveHub, headers: dict[str, str]) -> Line:
    """Return the connection of a client that comes again and again until there is a place."""
    async with asyncio.timeout(PATIENCE):
        while True:
            line = await Line(live, headers).accepted()
            if (await line.frame())["type"] == "hello":
                return line
            assert await line.closed() == 1013
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def hub() -> AsyncIterator[LiveHub]:
    """Give a hub of its own, which ends with the test."""
    live = LiveHub()
    try:
        yield live
    finally:
        await live.stop()


class Served:
    """A real server with a hub of its own, in a thread."""

    def __init__(self, live: LiveHub) -> None:
        self.live = live
        self.port = 0
        self._server: uvicorn.Server | None = None

    @property
    def url(self) -> str:
        """Return the address of the feed."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    @contextlib.contextmanager
    def running(self, port: int = 0, protocol: Any = GuardedProtocol) -> Iterator[Served]:
        """Serve until the end of the context."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket":
                await Consumer(self.live)(scope, receive, send)
                return
            body = b"hello"
            headers = [(b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        live = self.live

        class Server(uvicorn.Server):
            async def shutdown(self, sockets: Any = None) -> None:
                await live.stop()
                await super().shutdown(sockets)

        config = uvicorn.Config(
            application,
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            loop="uvloop",
            http=protocol,
            timeout_graceful_shutdown=2,
            **SOCKET_OPTIONS,
        )
        server = self._server = Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                thread.join(0.01)
                assert thread.is_alive()
            self.port = server.servers[0].sockets[0].getsockname()[1]
            yield self
        finally:
            server.should_exit = True
            thread.join()

    def stop(self) -> None:
        """Ask the server to end."""
        assert self._server is not None
        self._server.should_exit = True


@contextlib.contextmanager
def served(port: int = 0, protocol: Any = GuardedProtocol) -> Iterator[Served]:
    """Serve the live feed by a real uvicorn on a free port."""
    with Served(LiveHub()).running(port, protocol) as server:
        yield server


@contextlib.asynccontextmanager
async def dialled(
    url: str, headers: dict[str, str]
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Connect by a real client that answers no ping by itself."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, headers=headers, autoping=False) as line,
    ):
        yield line


async def frame_of(line: aiohttp.ClientWebSocketResponse, kind: str = "") -> Any:
    """Return the next frame of a real connection, or the next of a kind."""
    while True:
        message = await line.receive(timeout=PATIENCE)
        assert message.type == aiohttp.WSMsgType.TEXT, message
        told = message.json()
        if kind in {"", told["type"]}:
            return told


async def code_of(line: aiohttp.ClientWebSocketResponse) -> int | None:
    """Return the code that ends a real connection, past all frames before it."""
    while (await line.receive(timeout=PATIENCE)).type == aiohttp.WSMsgType.TEXT:
        continue
    return line.close_code
