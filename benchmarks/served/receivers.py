"""The smallest servers that clients of ours are measured against, in a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import ssl
from typing import TYPE_CHECKING

import uvloop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection


@contextlib.contextmanager
def answering(
    protocol: type[asyncio.Protocol], hosts: Sequence[str] = ("127.0.0.1",), *, pem: str = ""
) -> Iterator[int]:
    """Serve a protocol on the same free port of every address, and give the port.

    Over TLS with a file that holds a key and its certificate.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=[protocol, hosts, pem, theirs], daemon=True)
    server.start()
    try:
        yield ours.recv()
    finally:
        server.terminate()
        server.join()


def _serve(
    protocol: type[asyncio.Protocol], hosts: Sequence[str], pem: str, told: Connection
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if pem else None
        if tls is not None:
            tls.load_cert_chain(pem)
        first = await loop.create_server(protocol, hosts[0], 0, backlog=1024, ssl=tls)
        port = first.sockets[0].getsockname()[1]
        if others := hosts[1:]:
            await loop.create_server(protocol, others, port, backlog=1024, ssl=tls)
        told.send(port)
        await first.serve_forever()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as event_loop:
        event_loop.run(main())
