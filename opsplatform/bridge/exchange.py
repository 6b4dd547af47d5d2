"""One request in a pool thread: call the application, hand its answer to the event loop."""

from __future__ import annotations

import asyncio
import logging
import re
from concurrent.futures import CancelledError
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from opsplatform.bridge.types import ClientGoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opsplatform.bridge.pool import Pool
    from opsplatform.bridge.types import Environ, HeaderPairs, Message, Send, WSGIApplication

logger = logging.getLogger(__name__)

_STALL_SECONDS: Final = 60.0
_STATUS: Final = re.compile(r"[2-5][0-9][0-9](?: |$)")
# What the server would refuse only after it has begun to answer.
_NO_NAME: Final = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]|^$")
_NO_VALUE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
# These have no body, and a length would promise one.
_WITHOUT_BODY: Final = frozenset({204, 304})
_NOT_STARTED: Final = "The application did not call start_response."


class Exchange:
    """Runs the WSGI application for one request.

    The application, the iteration over its answer and `close()` all happen in the same thread:
    Django's database connections belong to threads, and `close()` is where it lets them go. A
    whole answer crosses to the event loop once; a stream crosses with each block and waits until
    the client has taken it, so a slow client fills no memory.
    """

    def __init__(
        self,
        application: WSGIApplication,
        send: Send,
        *,
        pool: Pool,
        stall_seconds: float = _STALL_SECONDS,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.client_is_gone = False
        self._application = application
        self._send = send
        self._pool = pool
        self._stall_seconds = stall_seconds
        self._status = 0
        self._headers: HeaderPairs = []
        self.has_started = False
        self._body = b""

    def client_gone(self) -> bool:
        """Say whether the client has left; callable from any thread."""
        return self.client_is_gone

    def work(self, environ: Environ) -> None:
        """Serve the request and close its body; runs in a pool thread and never raises."""
        failure: Exception | None = None
        try:
            self._serve(environ)
        except BaseException as error:  # noqa: BLE001  # The thread must live, the loop must know.
            failure = error if isinstance(error, Exception) else RuntimeError(repr(error))
        try:
            self.loop.call_soon_threadsafe(self._finish, failure)
        except RuntimeError:
            # The loop was closed while the application still worked; nobody is left to answer.
            logger.info("An answer came after the server had stopped.")

    async def deliver(self) -> None:
        """Send what is still unsent, when `done` is."""
        if not self.has_started:
            self.has_started = True
            await self._send(self._start_message())
        body = b"" if self._status in _WITHOUT_BODY else self._body
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def _serve(self, environ: Environ) -> None:
        body = environ["wsgi.input"]
        try:
            blocks = self._application(environ, self._start_response)
            try:
                if isinstance(blocks, (list, tuple)) or getattr(blocks, "streaming", None) is False:
                    self._body = b"".join(blocks)
                else:
                    self._stream(blocks)
            finally:
                close = getattr(blocks, "close", None)
                if close is not None:
                    close()
        finally:
            body.close()
        if not self._status:
            raise RuntimeError(_NOT_STARTED)

    def _stream(self, blocks: Iterable[bytes]) -> None:
        for block in blocks:
            if self.client_is_gone:
                raise ClientGoneError
            self._push(block)

    def _push(self, block: bytes) -> None:
        """Send a block and wait until the server has passed it on; an empty one begins nothing."""
        if not self._status:
            raise RuntimeError(_NOT_STARTED)
        if not block or self._status in _WITHOUT_BODY:
            return
        sending = asyncio.run_coroutine_threadsafe(self._send_block(block), self.loop)
        try:
            sending.result(self._stall_seconds)
        except (TimeoutError, CancelledError):
            sending.cancel()
            raise ClientGoneError from None

    async def _send_block(self, block: bytes) -> None:
        if not self.has_started:
            self.has_started = True
            await self._send(self._start_message())
        await self._send({"type": "http.response.body", "body": block, "more_body": True})
        self._pool.progress()

    def _start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: Any = None,  # noqa: ANN401  # the shape of sys.exc_info, for which WSGI has no type
    ) -> Callable[[bytes], None]:
        if exc_info is not None and self.has_started:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._status and exc_info is None:
            message = "The application called start_response twice."
            raise RuntimeError(message)
        if not _STATUS.match(status) or _NO_VALUE.search("".join([value for _, value in headers])):
            message = f"The application gave a status or header that cannot be sent: {status!r}."
            raise RuntimeError(message)
        self._headers = [(_wire_name(name), value.encode("latin-1")) for name, value in headers]
        self._status = int(status[:3])
        return self._push

    def _start_message(self) -> Message:
        headers = self._headers
        if self._status in _WITHOUT_BODY:
            headers = [header for header in headers if header[0] != b"content-length"]
        return {"type": "http.response.start", "status": self._status, "headers": headers}

    def _finish(self, failure: Exception | None) -> None:
        """Free the thread's place, whether or not somebody still waits for the answer."""
        self._pool.leave()
        if self.done.done():
            return
        if failure is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(failure)


@lru_cache(maxsize=256)
def _wire_name(name: str) -> bytes:
    """Return the name of a header as it is sent; raise RuntimeError for what is none."""
    if _NO_NAME.search(name):
        message = f"The application gave a header a name that cannot be sent: {name!r}."
        raise RuntimeError(message)
    return name.lower().encode("ascii")
