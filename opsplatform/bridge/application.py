"""Serve a WSGI application over ASGI, from a bounded pool of threads."""

from __future__ import annotations

import asyncio
import logging
from typing import IO, TYPE_CHECKING, Final

import orjson

from core import tracing
from opsplatform.bridge.body import MEMORY_BYTES, read_beginning, read_body
from opsplatform.bridge.environ import build_environ, declared_length, read_headers
from opsplatform.bridge.exchange import Exchange
from opsplatform.bridge.types import ClientGoneError, RefusedError

if TYPE_CHECKING:
    from opsplatform.bridge.body import BodyLimits
    from opsplatform.bridge.pool import Pool
    from opsplatform.bridge.types import HeaderPairs, Receive, Scope, Send, WSGIApplication

logger = logging.getLogger(__name__)

# So many bodies may fill their memory while they are read; with more, each has a smaller share.
_FULL_SHARES: Final = 32
# Most requests are over before this; only the others need a task that listens for the client.
_LISTEN_AFTER_SECONDS: Final = 0.25
_TITLES: Final = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Bridge:
    """The ASGI application for HTTP.

    A request waits for nothing but its own body until it gets a thread. What the bridge refuses
    itself is answered as application/problem+json with the security headers it was given.
    """

    def __init__(
        self,
        application: WSGIApplication,
        *,
        pool: Pool,
        limits: BodyLimits,
        security_headers: HeaderPairs,
    ) -> None:
        self.pool = pool
        self._application = application
        self._limits = limits
        self._security_headers = security_headers
        self._reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._answer(scope, receive, send)
        except ClientGoneError:
            # Said nothing about: a client may leave at any time.
            return
        except RefusedError as refusal:
            await self._refuse(scope, send, refusal)

    async def health(self, scope: Scope, send: Send) -> None:
        """Answer the liveness probe without a thread, so that a full pool is no reason to kill."""
        stuck = self.pool.is_stuck()
        body = orjson.dumps({"status": "stuck" if stuck else "ok"})
        await self._send_json(scope, send, 500 if stuck else 200, body, [])

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        fields = read_headers(scope["headers"])
        if scope["http_version"] == "1.1" and "HTTP_HOST" not in fields:
            raise RefusedError(400, "The request has no Host header.")
        body, length = await self._read(scope["path"], fields, receive)
        exchange = Exchange(self._application, send, pool=self.pool)
        environ = build_environ(
            scope, fields, body=body, length=length, client_gone=exchange.client_gone
        )
        try:
            listener = await self._enter(exchange, receive)
        except BaseException:
            body.close()
            raise
        self.pool.run(lambda: exchange.work(environ))
        try:
            await _finished(exchange, receive, listener)
        except ClientGoneError:
            raise
        except Exception as error:
            if exchange.has_started:
                # The server cuts the connection: the client sees that the answer is not whole.
                raise
            message = "An unexpected error; its request id is in the log."
            raise RefusedError(500, message) from error
        await exchange.deliver()

    async def _read(
        self, path: str, fields: dict[str, str], receive: Receive
    ) -> tuple[IO[bytes], int]:
        declared, chunked = declared_length(fields), "HTTP_TRANSFER_ENCODING" in fields
        most = self._limits.cut_at(path)
        if most is not None:
            return await read_beginning(receive, most=most, declared=declared, chunked=chunked)
        self._reading += 1
        try:
            return await read_body(
                receive,
                limit=self._limits.of(path),
                declared=declared,
                chunked=chunked,
                expects_continue="HTTP_EXPECT" in fields,
                memory_bytes=MEMORY_BYTES * _FULL_SHARES // max(self._reading, _FULL_SHARES),
            )
        finally:
            self._reading -= 1

    async def _enter(self, exchange: Exchange, receive: Receive) -> asyncio.Task[None] | None:
        """Take a thread; raise ClientGoneError if the client has left the line meanwhile."""
        if not await self.pool.enter():
            return None
        listener = asyncio.create_task(_listen(exchange, receive))
        gone = True
        try:
            # After one turn of the loop, the listener knows whether the client is still there.
            await asyncio.sleep(0)
            gone = exchange.client_is_gone
        finally:
            if gone:
                listener.cancel()
                self.pool.leave()
        if gone:
            raise ClientGoneError
        return listener

    async def _refuse(self, scope: Scope, send: Send, refusal: RefusedError) -> None:
        carried = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        with tracing.bind(tracing.from_headers(carried)) as origin:
            # A cause is what escaped the application's own error handling.
            logger.log(
                logging.INFO if refusal.__cause__ is None else logging.ERROR,
                "%s %s %d",
                scope["method"],
                scope["path"],
                refusal.status,
                exc_info=refusal.__cause__,
                extra={"refused": refusal.detail, "address": (scope.get("client") or ("",))[0]},
            )
        problem = {
            "type": f"urn:opsplatform:problem:{refusal.status}",
            "title": _TITLES[refusal.status],
            "status": refusal.status,
            "detail": refusal.detail,
            "request_id": origin.request_id,
        }
        headers = [
            (b"x-request-id", origin.request_id.encode()),
            # What is left of the request on this connection is not worth reading.
            (b"connection", b"close"),
        ]
        if refusal.retry_after_seconds:
            headers.append((b"retry-after", b"%d" % refusal.retry_after_seconds))
        await self._send_json(
            scope, send, refusal.status, orjson.dumps(problem), headers, kind=b"problem+json"
        )

    async def _send_json(
        self,
        scope: Scope,
        send: Send,
        status: int,
        body: bytes,
        headers: HeaderPairs,
        *,
        kind: bytes = b"json",
    ) -> None:
        headers = [
            (b"content-type", b"application/" + kind),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            *self._security_headers,
            *headers,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        shown = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": shown, "more_body": False})


async def _finished(
    exchange: Exchange, receive: Receive, listener: asyncio.Task[None] | None
) -> None:
    """Wait for the thread, and from some point on listen whether the client is still there."""

    def listen() -> None:
        nonlocal listener
        listener = listener or asyncio.create_task(_listen(exchange, receive))

    timer = asyncio.get_running_loop().call_later(_LISTEN_AFTER_SECONDS, listen)
    try:
        await exchange.done
    except asyncio.CancelledError:
        exchange.client_is_gone = True
        raise
    finally:
        timer.cancel()
        if listener is not None:
            listener.cancel()


async def _listen(exchange: Exchange, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    exchange.client_is_gone = True
