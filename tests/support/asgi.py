"""Call an ASGI application as a server would, with a client that may be slow or leave."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn

from opsplatform.bridge.application import Bridge
from opsplatform.bridge.body import BodyLimits
from opsplatform.bridge.pool import Pool
from opsplatform.bridge.protocol import GuardedProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Part = bytes | float
BRIDGES: weakref.WeakSet[Bridge] = weakref.WeakSet()


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    blocks: list[bytes] = field(default_factory=list)
    complete: bool = False

    @property
    def body(self) -> bytes:
        """Return the whole body."""
        return b"".join(self.blocks)

    def header(self, name: str) -> str | None:
        """Return the only header of a name."""
        found = [value.decode() for key, value in self.headers if key == name.encode()]
        assert len(found) <= 1
        return found[0] if found else None


def scope(
    method: str = "GET", path: str = "/", headers: Sequence[tuple[bytes, bytes]] = ()
) -> dict[str, Any]:
    """Return the scope of a request; one that may have a body has chunks unless it has a length."""
    raw_path, _, query = path.partition("?")
    framed = {name.lower() for name, _ in headers} & {b"content-length", b"transfer-encoding"}
    if b"host" not in {name.lower() for name, _ in headers}:
        headers = [*headers, (b"host", b"localhost")]
    if method not in {"GET", "HEAD"} and not framed:
        headers = [*headers, (b"transfer-encoding", b"chunked")]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": raw_path,
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "headers": list(headers),
        "client": ("192.0.2.1", 4711),
        "server": ("127.0.0.1", 8000),
    }


async def ask(
    application: Any,
    request: dict[str, Any] | None = None,
    *parts: Part,
    leave: asyncio.Event | None = None,
    on_block: Callable[[bytes], Any] | None = None,
) -> Answer:
    """Send a request and return the answer; a number among the parts of the body is a pause."""
    answer = Answer()
    waiting = list(parts or [b""])
    left = leave or asyncio.Event()

    async def receive() -> dict[str, Any]:
        if waiting and isinstance(waiting[0], float):
            await asyncio.sleep(waiting.pop(0))
        if waiting:
            return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        assert not answer.complete
        if message["type"] == "http.response.start":
            assert not answer.status
            answer.status, answer.headers = message["status"], message["headers"]
            return
        assert answer.status
        answer.blocks.append(message["body"])
        answer.complete = not message["more_body"]
        if on_block is not None and message["more_body"]:
            await on_block(message["body"])

    await application(request or scope(), receive, send)
    return answer


def make_bridge(
    application: Any, *, threads: int = 2, limit: int = 2_000_000, **options: Any
) -> Bridge:
    """Return a bridge with few threads, which end with the test."""
    bridge = Bridge(
        application,
        pool=Pool(threads, **options),
        limits=BodyLimits(limit, [("/small/", 10)]),
        security_headers=[(b"x-security", b"yes")],
    )
    BRIDGES.add(bridge)
    return bridge


@contextlib.contextmanager
def served(application: Any, protocol: Any = GuardedProtocol) -> Iterator[int]:
    """Serve an ASGI application by a real uvicorn on a free port, and give the port."""
    config = uvicorn.Config(
        application,
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        lifespan="off",
        http=protocol,
        ws="none",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive()
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
