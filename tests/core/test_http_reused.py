"""A kept connection that the server has closed meanwhile is no failure of the server."""

import asyncio
from collections.abc import Mapping

import pytest

from core.addresses import Allow, Policy
from core.http import Failure, FetchError, OutgoingRequest, OutgoingResponse, fetch, session

KEYED = {"Idempotency-Key": "key-1"}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Closing:
    """A server that answers so many requests of each connection, and leaves before the next."""

    def __init__(self, *answers_per_connection: int) -> None:
        self.seen: list[tuple[int, bytes]] = []
        self._answers = list(answers_per_connection)
        self._connections = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        number, self._connections = self._connections, self._connections + 1
        try:
            for _ in range(self._answers.pop(0)):
                await self._read(reader, number)
                writer.write(ANSWER)
            await self._read(reader, number)
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.seen.append((number, await reader.readexactly(4)))


def post_again(server: Closing, headers: Mapping[str, str], *, first: int = 1) -> OutgoingResponse:
    """Post once or several times at the same time, then once more; return the last answer."""

    async def run() -> OutgoingResponse:
        listening = await asyncio.start_server(server.converse, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        request = OutgoingRequest(
            f"http://127.0.0.1:{port}/", method="POST", headers=headers, body=b"body"
        )
        allow = Allow.parse([f"127.0.0.1:{port}"])
        try:
            async with session(Policy.OUTBOUND, allow, keep_alive=True) as client:
                await asyncio.gather(*(fetch(client, request) for _ in range(first)))
                return await fetch(client, request)
        finally:
            listening.close()

    return asyncio.run(run())


def test_a_request_with_a_key_is_sent_again_over_a_new_connection():
    server = Closing(1, 1)

    assert post_again(server, KEYED).status == 200
    assert server.seen == [(0, b"body"), (0, b"body"), (1, b"body")]


def test_it_is_sent_again_until_it_meets_a_new_connection():
    server = Closing(1, 1, 1, 1)

    assert post_again(server, KEYED, first=3).status == 200
    again = [number for number, _ in server.seen[3:]]
    assert (sorted(again), again[-1]) == ([0, 1, 2, 3], 3)


def test_a_request_without_a_key_is_not():
    server = Closing(1, 1)

    with pytest.raises(FetchError) as caught:
        post_again(server, {})

    assert caught.value.failure is Failure.PROTOCOL
    assert server.seen == [(0, b"body"), (0, b"body")]


@pytest.mark.parametrize(("answers", "times"), [((0, 1), 1), ((1, 0, 1), 3)])
def test_a_new_connection_that_breaks_counts(answers, times):
    server = Closing(*answers)

    with pytest.raises(FetchError) as caught:
        post_again(server, KEYED)

    assert caught.value.failure is Failure.PROTOCOL
    assert len(server.seen) == times
