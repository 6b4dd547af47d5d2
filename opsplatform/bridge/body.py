"""Read a request's body in the event loop, so that a slow client holds no thread."""

from __future__ import annotations

import asyncio
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Final

from opsplatform.bridge.types import ClientGoneError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opsplatform.bridge.types import Receive

SILENCE_SECONDS: Final = 30.0
LEAST_BYTES_PER_SECOND: Final = 500
MEMORY_BYTES: Final = 1_048_576

# Of a body that is too large so much is still read before the answer: a client that is busy
# sending looks at the answer only afterwards, and closing at once would reset its connection.
_MOST_DISCARDED_BYTES: Final = 16_777_216
_DISCARD_SECONDS: Final = 5.0


class BodyLimits:
    """How large a body may be, by the beginning of the path; the longest beginning decides.

    Below the paths of `cut`, larger ones are cut instead of refused.
    """

    def __init__(
        self,
        default: int,
        routes: Sequence[tuple[str, int]] = (),
        *,
        cut: Mapping[str, int] | None = None,
    ) -> None:
        self._default = default
        self._cut = cut or {}
        self._routes = sorted(routes, key=lambda route: len(route[0]), reverse=True)

    def of(self, path: str) -> int:
        """Return the limit of a path in bytes."""
        for beginning, limit in self._routes:
            if path.startswith(beginning):
                return limit
        return self._default

    def cut_at(self, path: str) -> int | None:
        """Return how much of a body is kept, or None where all of it is."""
        for beginning, most in self._cut.items():
            if path.startswith(beginning):
                return most
        return None


async def read_body(
    receive: Receive,
    *,
    limit: int,
    declared: int | None,
    chunked: bool = True,
    expects_continue: bool = False,
    memory_bytes: int = MEMORY_BYTES,
    silence_seconds: float = SILENCE_SECONDS,
) -> tuple[IO[bytes], int]:
    """Return a body as a file at its beginning, and its length.

    Raise RefusedError for one that is too large (413), too slow (408) or of another length than
    it declares (400), or that the disk does not take (503); ClientGoneError if the client leaves.
    What is larger than memory_bytes goes to a file.

    Too slow is who sends nothing for silence_seconds, and who after as many seconds has sent less
    than 500 bytes for each further one: a byte now and then would hold the connection for ever.

    A client that expects `100 Continue` is refused before it sends anything.
    """
    if declared is None and not chunked:
        # HTTP/1 knows no other body; reading none needs no file and no clock.
        return BytesIO(), 0
    body = SpooledTemporaryFile(max_size=memory_bytes)  # noqa: SIM115  # closed with the request
    try:
        length, more = declared or 0, True
        if length <= limit:
            length, more = await _fill(body, receive, limit, memory_bytes, silence_seconds)
        if length > limit and more and not expects_continue:
            await _discard(receive)
        _check_length(length, limit, declared)
    except TimeoutError:
        body.close()
        raise RefusedError(408, "The body did not come in time.") from None
    except OSError as error:
        body.close()
        raise RefusedError(503, "The server cannot store the body.") from error
    except BaseException:
        body.close()
        raise
    body.seek(0)
    return body, length


async def read_beginning(
    receive: Receive,
    *,
    most: int,
    declared: int | None,
    chunked: bool = True,
    silence_seconds: float = SILENCE_SECONDS,
) -> tuple[IO[bytes], int]:
    """Return the first bytes of a body, whatever its length and however slowly the rest comes.

    For reports, which count by themselves: what a job says beside is welcome, and no condition.
    """
    if declared is None and not chunked:
        return BytesIO(), 0
    body, more = bytearray(), True
    try:
        async with asyncio.timeout(silence_seconds):
            while more and len(body) < most:
                chunk, more = await _next(receive)
                body += chunk[: most - len(body)]
    except TimeoutError:
        return BytesIO(body), len(body)
    if more:
        await _discard(receive)
    return BytesIO(body), len(body)


async def _fill(
    body: SpooledTemporaryFile[bytes],
    receive: Receive,
    limit: int,
    memory_bytes: int,
    silence_seconds: float,
) -> tuple[int, bool]:
    """Read until the end or beyond the limit; return how much came, and whether there is more."""
    loop = asyncio.get_running_loop()
    length, more = 0, True
    began = loop.time()
    async with asyncio.timeout(silence_seconds) as patience:
        while more and length <= limit:
            chunk, more = await _next(receive)
            length += len(chunk)
            if length > memory_bytes:
                # A disk that is slow must not stop the loop, which serves everybody.
                await asyncio.to_thread(body.write, chunk)
            else:
                body.write(chunk)
            if chunk:
                paid_until = began + length / LEAST_BYTES_PER_SECOND
                patience.reschedule(min(loop.time(), paid_until) + silence_seconds)
    return length, more


def _check_length(length: int, limit: int, declared: int | None) -> None:
    if length > limit:
        raise RefusedError(413, f"The body is larger than {limit} bytes.")
    if declared not in {None, length}:
        raise RefusedError(400, "The body has another length than Content-Length says.")


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    return message.get("body", b""), message.get("more_body", False)


async def _discard(receive: Receive) -> None:
    discarded = 0
    more = True
    try:
        async with asyncio.timeout(_DISCARD_SECONDS):
            while more and discarded < _MOST_DISCARDED_BYTES:
                chunk, more = await _next(receive)
                discarded += len(chunk)
    except TimeoutError:
        return
