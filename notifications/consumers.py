"""The door of the live feed: a handshake is read, judged, and refused or let in.

What speaks against a connection before anybody is known is refused by HTTP, before the handshake.
Everything later accepts first and then closes with a code: of a refused handshake a browser's
script learns nothing.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson
from django.conf import settings
from django.db import DatabaseError
from django.http import parse_cookie
from django.http.request import split_domain_port, validate_host

from accounts.authentication.credentials import (
    CREDENTIAL_HEADERS,
    ONE_CREDENTIAL,
    credential_of,
)
from core import tracing
from core.headers import api_headers
from notifications.engine import frames
from notifications.services.conversation import Conversation
from notifications.services.handshakes import EndedError, Known, Refusal, admitted, spread_ms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from notifications.services.livehub import LiveHub

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

logger = logging.getLogger(__name__)

MOST_HANDSHAKES: Final = 1_000
_RETRY_SECONDS: Final = 5
_TELL_SECONDS: Final = 1.0


class Consumer:
    """Answers WebSocket handshakes; one for each process."""

    def __init__(self, live: LiveHub) -> None:
        self._live = live
        self._told_at = -_TELL_SECONDS
        self._untold = 0

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
            conversation = Conversation(self._live, scope, receive, send, number)
            known = await self._identify(headers, number)
            if isinstance(known, Refusal):
                await self._refuse(scope, send, known)
            else:
                await conversation.run(known)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> Refusal | None:
        """Return what is wrong with a handshake, as far as it shows without the database."""
        if not settings.WS_ENABLED:
            return Refusal(403, "Live updates are switched off.")
        if scope["path"] != settings.WS_PATH:
            return Refusal(404, "There is nothing here.")
        if scope.get("query_string"):
            # Access logs of proxies keep the address: it must never hold a token.
            return Refusal(400, "The address takes no parameters; send a token as first frame.")
        if sum(name in headers for name in CREDENTIAL_HEADERS) > 1:
            return Refusal(400, ONE_CREDENTIAL)
        if not _is_allowed(headers):
            return Refusal(403, "The page belongs to another site.")
        if self._live.arriving >= MOST_HANDSHAKES:
            return Refusal(503, "Too many connections begin at once.", _RETRY_SECONDS)
        return None

    async def _identify(
        self, headers: Mapping[str, str], number: str
    ) -> Known | Refusal | EndedError | None:
        """Return who is there by cookie or header, or None for who has to say so first."""
        if self._live.is_stopping:
            return EndedError(frames.RESTART, "restart", retry_ms=spread_ms())
        session = parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME, "")
        name = next((name for name in CREDENTIAL_HEADERS if name in headers), None)
        given = credential_of(name, headers[name]) if name is not None else None
        try:
            return await self._live.judge(
                number, admitted, session, given, number, self._live.take_slot
            )
        except EndedError as ended:
            return ended
        except DatabaseError:
            return Refusal(503, "The platform has no database just now.", _RETRY_SECONDS)

    async def _refuse(self, scope: Scope, send: Send, refusal: Refusal) -> None:
        self._live.hub.stats["refused"] += 1
        self._tell(refusal)
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

    def _tell(self, refusal: Refusal) -> None:
        """Log a refusal, at most one a second: clients that are refused come back by thousands."""
        now = time.monotonic()
        if now - self._told_at < _TELL_SECONDS:
            self._untold += 1
            return
        untold, self._told_at, self._untold = self._untold, now, 0
        logger.info(
            "Socket refused %d",
            refusal.status,
            extra={
                "refused": refusal.detail,
                "address": tracing.current().address,
                "not_logged_before": untold,
            },
        )


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
    # Whoever sits in the network can put a page at our name over plain HTTP.
    schemes = {"https"} if settings.HTTPS else {"http", "https"}
    return scheme in schemes and name in {host, base.netloc}
