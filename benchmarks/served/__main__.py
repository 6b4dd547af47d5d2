"""A web server to measure: `python -m benchmarks.served NAME [one-core]`; the names are below."""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import uvicorn

from benchmarks.served.processes import wait_until_open
from opsplatform.bridge.protocol import GuardedProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable


def bare() -> Any:  # noqa: ANN401
    """Return the bridge with the smallest application there is."""
    from opsplatform.bridge.application import Bridge
    from opsplatform.bridge.body import BodyLimits
    from opsplatform.bridge.pool import Pool

    def hello(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401
        start_response("200 OK", [("Content-Length", "5")])
        return [b"Hello"]

    return Bridge(hello, pool=Pool(8), limits=BodyLimits(1_000), security_headers=[])


def platform() -> Any:  # noqa: ANN401
    """Return the platform as it is served."""
    from opsplatform.asgi import application

    return application


def django() -> Any:  # noqa: ANN401
    """Return the same platform behind Django's own ASGI handler."""
    from django.core.asgi import get_asgi_application

    return get_asgi_application()


def granian() -> None:
    """Serve the same platform by a WSGI server; tell the port once its worker answers."""
    from django.conf import settings
    from granian.constants import Interfaces
    from granian.server import Server

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    threading.Thread(target=_tell_when_open, args=[port], daemon=True).start()
    Server(
        "opsplatform.wsgi:application",
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=settings.OPS_WEB_THREADS,
        websockets=False,
        log_enabled=False,
    ).serve()


def _tell_when_open(port: int) -> None:
    wait_until_open(port)
    print(port, flush=True)


def main() -> None:
    """Tell the port and serve until SIGTERM."""
    if "one-core" in sys.argv:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if sys.argv[1] == "granian":
        granian()
        return
    application = {"bare": bare, "platform": platform, "django": django}[sys.argv[1]]()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        loop="uvloop",
        http=GuardedProtocol,
        ws="none",
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.served.settings"
    main()
