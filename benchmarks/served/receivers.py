"""The smallest servers that clients of ours are measured against, in a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection


@contextlib.contextmanager
def answering(
    protocol: type[asyncio.Protocol], hosts: Sequence[str] = ("127.0.0.1",)
) -> Iterator[int]:
    """Serve a protocol on the same free port of every address, and give the port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=[protocol, hosts, theirs], daemon=True)
    server.start()
    try:
        yield ours.recv()
    finally:
        server.terminate()
        server.join()


def _serve(protocol: type[asyncio.Protocol], hosts: Sequence[str], told: Connection) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = await loop.create_server(protocol, hosts[0], 0, backlog=1024)
        port = first.sockets[0].getsockname()[1]
        if others := hosts[1:]:
            await loop.create_server(protocol, others, port, backlog=1024)
        told.send(port)
        await first.serve_forever()

    asyncio.run(main())
