"""The ASGI application: liveness and sockets in the event loop, all else through the bridge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import django
from django.conf import settings

# A server that is given this module knows nothing of Django; what follows has models in it.
django.setup()

from accounts.selectors import access
from core.headers import api_headers
from notifications.consumers import Consumer
from notifications.services.livehub import live
from observability.engine.client_address import client_address
from observability.services.live import sample_overview
from opsplatform.bridge.application import Bridge
from opsplatform.bridge.body import BodyLimits
from opsplatform.bridge.pool import Pool
from opsplatform.wsgi import application as wsgi_application
from reliability.models.heartbeats import MAX_BODY
from reliability.selectors.heartbeats import PATH

if TYPE_CHECKING:
    from opsplatform.bridge.types import Receive, Scope, Send

bridge: Final = Bridge(
    wsgi_application,
    pool=Pool(settings.OPS_WEB_THREADS),
    limits=BodyLimits(settings.DATA_UPLOAD_MAX_MEMORY_SIZE, cut={PATH: MAX_BODY}),
    security_headers=api_headers(https=settings.HTTPS),
)
live.sources["overview"] = sample_overview
consumer: Final = Consumer(live)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection, request or life cycle of the server."""
    match scope["type"]:
        case "http":
            if scope["path"] == "/healthz" and scope["method"] in {"GET", "HEAD"}:
                await bridge.health(scope, send)
            else:
                await bridge(scope, receive, send)
        case "websocket":
            scope["address"] = _address(scope)
            await consumer(scope, receive, send)
        case "lifespan":
            await _live(receive, send)


def _address(scope: Scope) -> str:
    """Return the client's address behind the declared proxies, as requests have it."""
    forwarded = b",".join(
        value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"
    )
    peer = (scope.get("client") or ("",))[0]
    return client_address(peer, forwarded.decode("latin-1"), settings.OPS_TRUSTED_PROXIES)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            access.feed.start()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            # Our own server has said goodbye to the sockets already; with another, it is time now.
            await live.stop()
            bridge.pool.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
