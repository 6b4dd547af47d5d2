"""The ASGI application: liveness in the event loop, everything else through the bridge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings

from core.headers import api_headers
from opsplatform.bridge.application import Bridge
from opsplatform.bridge.body import BodyLimits
from opsplatform.bridge.pool import Pool
from opsplatform.wsgi import application as wsgi_application

if TYPE_CHECKING:
    from opsplatform.bridge.types import Receive, Scope, Send

_GOING_AWAY: Final = 1001

bridge: Final = Bridge(
    wsgi_application,
    pool=Pool(settings.OPS_WEB_THREADS),
    limits=BodyLimits(settings.DATA_UPLOAD_MAX_MEMORY_SIZE),
    security_headers=api_headers(https=settings.HTTPS),
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection, request or life cycle of the server."""
    match scope["type"]:
        case "http":
            if scope["path"] == "/healthz" and scope["method"] in {"GET", "HEAD"}:
                await bridge.health(scope, send)
            else:
                await bridge(scope, receive, send)
        case "websocket":
            # Closed before it was accepted: the client's handshake is answered with 403.
            await receive()
            await send({"type": "websocket.close", "code": _GOING_AWAY})
        case "lifespan":
            await _live(receive, send)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            bridge.pool.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
