"""One accepted connection: what its client says, and what it is answered."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final, cast

from django.conf import settings
from django.db import DatabaseError

from core import tracing
from core.ratelimit import subject_of
from notifications.engine import frames
from notifications.engine.audiences import METRICS, allowed_topics, audiences_of
from notifications.engine.frames import BadFrameError
from notifications.engine.outlets import QueuedOutlet
from notifications.services.handshakes import EndedError, Known, known_by_key, spread_ms
from notifications.services.live import mark_read

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from notifications.engine.sockets import Outlet, Socket
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
_NO_CODE: Final = 1005


class Conversation:
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
        self._asked: Mapping[str, int | None] | None = None
        self._catching: asyncio.Task[None] | None = None
        self._left = _NO_CODE
        self._name = ""
        extensions = scope.get("extensions") or {}
        self._outlet: Outlet = extensions.get(OUTLET) or QueuedOutlet(send)

    async def run(self, known: Known | EndedError | None) -> None:
        """Talk until one side ends it."""
        socket: Socket | None = None
        has_slot = isinstance(known, Known) and known.has_slot
        try:
            await self._send({"type": "websocket.accept"})
            if isinstance(known, EndedError):
                raise known
            if known is None:
                known = await self._first_frame()
                has_slot = known.has_slot
            socket = self._enter(known)
            await self._listen(socket, known)
        except EndedError as ended:
            self._end(socket, ended)
        except DatabaseError as error:
            logger.warning("A connection has lost its database (%s).", type(error).__name__)
            self._end(socket, EndedError(frames.FULL, "unavailable", retry_ms=spread_ms()))
        except asyncio.CancelledError:
            self._end(socket, EndedError(frames.RESTART, "restart"))
            raise
        finally:
            if self._catching is not None:
                self._catching.cancel()
            if socket is not None:
                self._live.leave(socket, _NO_CODE)
            elif has_slot:
                self._live.free(self._number)

    def _enter(self, known: Known) -> Socket:
        live = self._live
        self._name = known.bearer.name
        if live.is_stopping:
            raise EndedError(frames.RESTART, "restart", retry_ms=spread_ms())
        if not live.hub.owner_has_room(known.bearer.key):
            raise EndedError(frames.TOO_MANY, "too many connections of this person")
        if not known.has_slot or not live.hub.has_room():
            raise EndedError(frames.FULL, "full", retry_ms=spread_ms())
        return live.admit(self._number, self._outlet, known.bearer, known.granted)

    def _end(self, socket: Socket | None, ended: EndedError) -> None:
        """Close from our side, unless that has happened or the client has left."""
        code = (socket.code if socket is not None else 0) or ended.code or self._left
        if socket is not None and not ended.code:
            # The client left; after a close of ours, that one counts.
            self._live.hub.remove(socket, frames.code_of_client(self._left))
        elif socket is not None:
            self._live.hub.close(socket, ended.code, ended.reason, retry_ms=ended.retry_ms)
        elif ended.code:
            self._live.hub.closed[ended.code] += 1
            if ended.retry_ms >= 0:
                self._outlet.write(frames.encode("bye", code=ended.code, retry_ms=ended.retry_ms))
            self._outlet.end(ended.code, ended.reason)
        logger.info(
            "Socket closed %d",
            code,
            extra={
                "seconds": round(time.monotonic() - self._began, 1),
                "user": self._name,
                "address": tracing.current().address,
            },
        )

    async def _first_frame(self) -> Known:
        """Wait for the token of a client that cannot send headers."""
        hub = self._live.hub
        address = subject_of(tracing.current().address)
        if not hub.begin_waiting(address):
            raise EndedError(frames.FULL, "too many unknown connections", retry_ms=spread_ms())
        try:
            async with asyncio.timeout(AUTH_SECONDS):
                asked = frames.read(await self._text())
        except (TimeoutError, BadFrameError):
            raise EndedError(frames.NOT_AUTHENTICATED, "sign in first") from None
        finally:
            hub.end_waiting(address)
        if asked.kind != "auth":
            raise EndedError(frames.NOT_AUTHENTICATED, "sign in first")
        return await self._live.judge(
            self._number, known_by_key, asked.token, self._number, self._live.take_slot
        )

    async def _text(self) -> str:
        """Return the next frame; raise EndedError when the client left or sends too much."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._left = message.get("code") or _NO_CODE
            raise EndedError(0)
        now = time.monotonic()
        earned = (now - self._counted_at) * FRAMES_A_SECOND
        self._allowance = min(self._allowance + earned, FRAMES_A_SECOND) - 1
        self._counted_at = now
        text = message.get("text")
        if text is None:
            raise EndedError(frames.BAD_FRAMES, "frames are text")
        if len(text.encode()) > frames.MOST_BYTES:
            raise EndedError(frames.TOO_LARGE, "frame too large")
        if self._allowance < 0:
            raise EndedError(frames.BAD_FRAMES, "too many frames")
        return cast("str", text)

    async def _listen(self, socket: Socket, known: Known) -> None:
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
                    raise EndedError(frames.BAD_FRAMES, "bad frames") from None
                hub.send(socket, frames.encode("error", code=4400, message=str(error)))

    async def _answer(self, socket: Socket, asked: frames.Asked, where: Mapping[str, int]) -> None:
        if asked.kind == "subscribe":
            refused = self._live.choose(socket, asked.topics)
            self._asked = {**where, **asked.cursors}
            if not socket.is_behind:
                socket.is_behind = True
                self._catching = asyncio.create_task(self._catch_up(socket))
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
            await self._live.in_time(
                mark_read, user_id=user_id, audience=asked.audience, seq=asked.seq
            )
        elif asked.kind == "auth":
            message = "The connection is authenticated already."
            raise BadFrameError(message)

    async def _catch_up(self, socket: Socket) -> None:
        """Send what was missed, beside the reader: pongs count, and an end is noticed at once.

        A subscription that comes meanwhile takes the place of the one before, also in the answer.
        """
        try:
            while self._asked is not None:
                cursors, self._asked = self._asked, None
                await self._live.catch_up(socket, cursors)
            if not socket.code:
                self._live.tell_topics(socket)
        except Exception as error:  # the edge of a task that nobody waits for
            logger.warning(
                "A connection is not caught up (%s).",
                type(error).__name__,
                exc_info=None if isinstance(error, DatabaseError) else error,
            )
            self._live.hub.close(socket, frames.FULL, "unavailable", retry_ms=spread_ms())
        finally:
            socket.is_behind = False

    def _hello(self, known: Known) -> bytes:
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
