"""The live feed over a WebSocket: one plain ASGI call for each connection.

What speaks against a connection before anybody is known is refused by HTTP, before the handshake.
Everything later accepts first and then closes with a code: of a refused handshake a browser's
script learns nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import orjson
from django.conf import settings
from django.db import DatabaseError
from django.http import parse_cookie
from django.http.request import split_domain_port, validate_host

from accounts.authentication import (
    PasswordChangeRequiredError,
    bearer_of_key,
    bearer_of_session,
)
from core import tracing, volatile
from core.headers import api_headers
from core.ratelimit import subject_of
from notifications.engine import frames
from notifications.engine.audiences import ASKED, METRICS, allowed_topics, audiences_of
from notifications.engine.frames import BadFrameError
from notifications.selectors import positions
from notifications.services.live import mark_read
from notifications.services.livehub import SPREAD_MS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from accounts.selectors import Bearer
    from notifications.engine.sockets import Outlet, Socket
    from notifications.selectors import Position
    from notifications.services.livehub import LiveHub

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

logger = logging.getLogger(__name__)

OUTLET: Final = "opsplatform.outlet"
"""The scope's extension by which our own server writes frames without a task."""
AUTH_SECONDS: Final = 5.0
MOST_BAD_FRAMES: Final = 3
FRAMES_A_SECOND: Final = 20
MOST_HANDSHAKES: Final = 1_000
_RETRY_SECONDS: Final = 5
_NO_CODE: Final = 1005


class _EndedError(Exception):
    """The connection is over, or is to be: with this code."""

    def __init__(self, code: int, reason: str = "", *, retry_ms: int = -1) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.retry_ms = retry_ms


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    detail: str
    retry_after_seconds: int = 0


@dataclass(frozen=True, slots=True)
class _Known:
    """Whoever is behind a connection, and what hello says."""

    bearer: Bearer
    granted: frozenset[str]
    where: Mapping[str, Position]
    has_slot: bool


class Consumer:
    """Answers WebSocket handshakes; one for each process."""

    def __init__(self, live: LiveHub) -> None:
        self._live = live
        self._handshakes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it ends."""
        await receive()
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        address = scope.get("address") or (scope.get("client") or ("",))[0]
        with tracing.bind(tracing.from_headers(headers), address=address):
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await self._refuse(scope, send, refusal)
                return
            number = secrets.token_hex(8)
            conversation = _Conversation(self._live, scope, receive, send, number)
            self._handshakes += 1
            try:
                known = await self._identify(headers, number)
            finally:
                self._handshakes -= 1
            if isinstance(known, _Refusal):
                await self._refuse(scope, send, known)
            else:
                await conversation.run(known)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> _Refusal | None:
        """Return what is wrong with a handshake, as far as it shows without the database."""
        if not settings.WS_ENABLED:
            return _Refusal(403, "Live updates are switched off.")
        if scope["path"] != settings.WS_PATH:
            return _Refusal(404, "There is nothing here.")
        if scope.get("query_string"):
            # Access logs of proxies keep the address: it must never hold a token.
            return _Refusal(400, "The address takes no parameters; send a token as first frame.")
        if not _is_allowed(headers):
            return _Refusal(403, "The page belongs to another site.")
        if self._handshakes >= MOST_HANDSHAKES:
            return _Refusal(503, "Too many connections begin at once.", _RETRY_SECONDS)
        return None

    async def _identify(
        self, headers: Mapping[str, str], number: str
    ) -> _Known | _Refusal | _EndedError | None:
        """Return who is there by cookie or header, or None for who has to say so first."""
        session = parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME, "")
        try:
            return await self._live.in_thread(
                _admitted, session, headers.get("x-dash-key"), number, self._live.take_slot
            )
        except _EndedError as ended:
            return ended
        except DatabaseError as error:
            logger.warning("A connection cannot be judged (%s).", type(error).__name__)
            return _Refusal(503, "The platform has no database just now.", _RETRY_SECONDS)

    async def _refuse(self, scope: Scope, send: Send, refusal: _Refusal) -> None:
        self._live.hub.stats["refused"] += 1
        logger.info(
            "Socket refused %d",
            refusal.status,
            extra={"refused": refusal.detail, "address": tracing.current().address},
        )
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": frames.FORBIDDEN})
            return
        problem = {
            "type": f"urn:opsplatform:problem:{refusal.status}",
            "status": refusal.status,
            "detail": refusal.detail,
            "request_id": tracing.current().request_id,
        }
        body = orjson.dumps(problem)
        given = [
            (b"content-type", b"application/problem+json"),
            (b"cache-control", b"no-store"),
            *api_headers(https=settings.HTTPS),
        ]
        if refusal.retry_after_seconds:
            given.append((b"retry-after", b"%d" % refusal.retry_after_seconds))
        status = refusal.status
        await send({"type": "websocket.http.response.start", "status": status, "headers": given})
        await send({"type": "websocket.http.response.body", "body": body})


class _Conversation:
    """One accepted connection."""

    def __init__(
        self, live: LiveHub, scope: Scope, receive: Receive, send: Send, number: str
    ) -> None:
        self._live = live
        self._receive = receive
        self._send = send
        self._number = number
        self._began = time.monotonic()
        self._allowance = float(FRAMES_A_SECOND)
        self._counted_at = self._began
        self._bad = 0
        self._left = _NO_CODE
        self._name = ""
        extensions = scope.get("extensions") or {}
        self._outlet: Outlet = extensions.get(OUTLET) or _Queued(send)

    async def run(self, known: _Known | _EndedError | None) -> None:
        """Talk until one side ends it."""
        socket: Socket | None = None
        has_slot = isinstance(known, _Known) and known.has_slot
        try:
            await self._send({"type": "websocket.accept"})
            if isinstance(known, _EndedError):
                raise known
            if known is None:
                known = await self._first_frame()
                has_slot = known.has_slot
            socket = self._enter(known)
            await self._listen(socket, known)
        except _EndedError as ended:
            self._end(socket, ended)
        except DatabaseError as error:
            logger.warning("A connection has lost its database (%s).", type(error).__name__)
            self._end(socket, _EndedError(frames.FULL, "unavailable", retry_ms=_spread()))
        except asyncio.CancelledError:
            self._end(socket, _EndedError(frames.RESTART, "restart"))
            raise
        finally:
            if socket is not None:
                self._live.leave(socket, _NO_CODE)
            elif has_slot:
                self._live.free(self._number)

    def _enter(self, known: _Known) -> Socket:
        live = self._live
        self._name = known.bearer.name
        if live.is_stopping:
            raise _EndedError(frames.RESTART, "restart", retry_ms=_spread())
        if not live.hub.owner_has_room(known.bearer.key):
            raise _EndedError(frames.TOO_MANY, "too many connections of this person")
        if not known.has_slot or not live.hub.has_room():
            raise _EndedError(frames.FULL, "full", retry_ms=_spread())
        return live.admit(self._number, self._outlet, known.bearer, known.granted)

    def _end(self, socket: Socket | None, ended: _EndedError) -> None:
        """Close from our side, unless that has happened or the client has left."""
        if socket is not None and not ended.code:
            # The client left; after a close of ours, that one counts.
            self._live.hub.remove(socket, self._left)
        elif socket is not None:
            self._live.hub.close(socket, ended.code, ended.reason, retry_ms=ended.retry_ms)
        elif ended.code:
            self._live.hub.closed[ended.code] += 1
            if ended.retry_ms >= 0:
                self._outlet.write(frames.encode("bye", code=ended.code, retry_ms=ended.retry_ms))
            self._outlet.end(ended.code, ended.reason)
        logger.info(
            "Socket closed %d",
            socket.code if socket is not None else ended.code or self._left,
            extra={
                "seconds": round(time.monotonic() - self._began, 1),
                "user": self._name,
                "address": tracing.current().address,
            },
        )

    async def _first_frame(self) -> _Known:
        """Wait for the token of a client that cannot send headers."""
        hub = self._live.hub
        if not hub.may_wait():
            raise _EndedError(frames.FULL, "too many unknown connections", retry_ms=_spread())
        hub.waiting += 1
        try:
            async with asyncio.timeout(AUTH_SECONDS):
                asked = frames.read(await self._text())
        except (TimeoutError, BadFrameError):
            raise _EndedError(frames.NOT_AUTHENTICATED, "sign in first") from None
        finally:
            hub.waiting -= 1
        if asked.kind != "auth":
            raise _EndedError(frames.NOT_AUTHENTICATED, "sign in first")
        return await self._live.in_thread(
            _known_by_key, asked.token, self._number, self._live.take_slot
        )

    async def _text(self) -> str:
        """Return the next frame; raise _EndedError when the client left or sends too much."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._left = message.get("code") or _NO_CODE
            raise _EndedError(0)
        now = time.monotonic()
        earned = (now - self._counted_at) * FRAMES_A_SECOND
        self._allowance = min(self._allowance + earned, FRAMES_A_SECOND) - 1
        self._counted_at = now
        text = message.get("text")
        if text is None:
            raise _EndedError(frames.BAD_FRAMES, "frames are text")
        if len(text.encode()) > frames.MOST_BYTES:
            raise _EndedError(frames.TOO_LARGE, "frame too large")
        if self._allowance < 0:
            raise _EndedError(frames.BAD_FRAMES, "too many frames")
        return cast("str", text)

    async def _listen(self, socket: Socket, known: _Known) -> None:
        hub = self._live.hub
        hub.send(socket, self._hello(known))
        where = {audience: position.seq for audience, position in known.where.items()}
        while True:
            text = await self._text()
            socket.missed = 0
            try:
                asked = frames.read(text)
                await self._answer(socket, asked, where)
            except BadFrameError as error:
                self._bad += 1
                if self._bad >= MOST_BAD_FRAMES:
                    raise _EndedError(frames.BAD_FRAMES, "bad frames") from None
                hub.send(socket, frames.encode("error", code=4400, message=str(error)))

    async def _answer(self, socket: Socket, asked: frames.Asked, where: Mapping[str, int]) -> None:
        if asked.kind == "subscribe":
            cursors = {**where, **asked.cursors}
            refused = await self._live.subscribe(socket, asked.topics, cursors)
            self._live.hub.send(socket, frames.encode("subscribed", topics=sorted(socket.topics)))
            if refused:
                message = f"Not allowed, or unknown: {', '.join(sorted(refused))}."
                raise BadFrameError(message)
        elif asked.kind == "read":
            user_id = socket.bearer.user_id
            if user_id is None or asked.audience not in audiences_of(
                allowed_topics(socket.granted), user_id
            ):
                message = "There is no such audience to read."
                raise BadFrameError(message)
            await self._live.in_thread(
                mark_read, user_id=user_id, audience=asked.audience, seq=asked.seq
            )
        elif asked.kind == "auth":
            message = "The connection is authenticated already."
            raise BadFrameError(message)

    def _hello(self, known: _Known) -> bytes:
        return frames.encode(
            "hello",
            version=frames.VERSION,
            id=self._number,
            heartbeat_ms=settings.WS_HEARTBEAT_INTERVAL,
            topics=sorted(allowed_topics(known.granted)),
            metrics=sorted(allowed_topics(known.granted) & METRICS.keys()),
            audiences={
                audience: {"seq": position.seq, "read": position.read}
                for audience, position in known.where.items()
            },
        )


class _Queued:
    """The way out through any ASGI server: a task for each frame that is under way."""

    def __init__(self, send: Send) -> None:
        self.drained: Callable[[], None] | None = None
        self._send = send
        self._task: asyncio.Task[None] | None = None
        self._last: list[Message] = []

    def write(self, frame: bytes) -> bool:
        message = {"type": "websocket.send", "text": frames.text_of(frame)}
        self._last.append(message)
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return False

    def end(self, code: int, reason: str) -> None:
        self._last.append({"type": "websocket.close", "code": code, "reason": reason})
        if self._task is None:
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._last:
                await self._send(self._last.pop(0))
                if not self._last and self.drained is not None:
                    self.drained()
        except Exception:  # noqa: BLE001  # whatever a server raises: the client is gone
            self._last.clear()
        finally:
            self._task = None


def _is_allowed(headers: Mapping[str, str]) -> bool:
    """Tell whether the page that opens the connection is ours; scripts have none, and no cookie.

    The origin must be the very host that is asked, with its port: cookies know no ports, and
    another application of the same machine is another site.
    """
    host = headers.get("host", "").lower()
    domain, _ = split_domain_port(host)
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    origin = headers.get("origin")
    if origin is None:
        return settings.SESSION_COOKIE_NAME not in parse_cookie(headers.get("cookie", ""))
    scheme, _, name = origin.lower().partition("://")
    base = urlsplit(settings.BASE_URL.lower())
    return scheme in {"http", "https"} and name in {host, base.netloc}


def _admitted(
    session: str, key: str | None, number: str, take_slot: Callable[[str], bool]
) -> _Known | _Refusal | None:
    """Judge a handshake by what needs the database: rate, credentials, place."""
    decision = volatile.allow(
        key=f"socket:{subject_of(tracing.current().address)}",
        limit=settings.OPS_RATE_LIMIT,
        period_seconds=60,
    )
    if not decision.allowed:
        seconds = max(1, math.ceil(decision.retry_after_seconds))
        return _Refusal(429, "Too many connections; wait and try again.", seconds)
    if key is not None:
        # A header beats the cookie, also a wrong one.
        return _known_by_key(key, number, take_slot)
    if not session:
        return None
    try:
        found = bearer_of_session(session, ASKED)
    except PasswordChangeRequiredError as error:
        raise _EndedError(frames.FORBIDDEN, "choose a password first") from error
    if found is None:
        raise _EndedError(frames.NOT_AUTHENTICATED, "sign in first")
    return _known(*found, number, take_slot)


def _known_by_key(key: str, number: str, take_slot: Callable[[str], bool]) -> _Known:
    found = bearer_of_key(key, ASKED, path=settings.WS_PATH)
    if found is None:
        raise _EndedError(frames.NOT_AUTHENTICATED, "the key is not known")
    return _known(*found, number, take_slot)


def _known(
    bearer: Bearer, granted: frozenset[str], number: str, take_slot: Callable[[str], bool]
) -> _Known:
    audiences = audiences_of(allowed_topics(granted), bearer.user_id)
    where = positions(audiences, bearer.user_id)
    return _Known(bearer, granted, where, has_slot=take_slot(number))


def _spread() -> int:
    return random.randrange(1_000, SPREAD_MS)  # noqa: S311  # no secret depends on it
