"""Addresses, processes and limits of the web server."""

import socket
from urllib.parse import urlsplit

from opsplatform.env import ENV


def _reachable(host: str) -> str:
    """Return the host part of a URL under which a server bound to this address answers."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104  # compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


ENV.section("Web")
OPS_HOST = ENV.text(
    "OPS_HOST", default="127.0.0.1", about="Address that the web process listens on."
)
OPS_PORT = ENV.integer("OPS_PORT", default=8000, minimum=1, maximum=65535, about="Its port.")
BASE_URL = ENV.url(
    "BASE_URL",
    default=f"http://{_reachable(OPS_HOST)}:{OPS_PORT}",
    schemes=("http", "https"),
    about="Where people and the platform itself reach it; the first service that it watches. "
    "With https, cookies are Secure and HSTS is sent. Default: OPS_HOST and OPS_PORT.",
)
OPS_ALLOWED_HOSTS = ENV.items(
    "OPS_ALLOWED_HOSTS",
    about="More host names under which the platform answers, beside loopback and that of BASE_URL.",
)
OPS_TRUSTED_PROXIES = ENV.integer(
    "OPS_TRUSTED_PROXIES",
    default=0,
    maximum=10,
    about="Reverse proxies in front: as many entries of X-Forwarded-For, counted from the right.",
)
OPS_WEB_WORKERS = ENV.integer(
    "OPS_WEB_WORKERS", default=1, minimum=1, maximum=64, about="Web processes."
)
OPS_WEB_THREADS = ENV.integer(
    "OPS_WEB_THREADS", default=8, minimum=1, maximum=256, about="Request threads of a web process."
)
OPS_RATE_LIMIT = ENV.integer(
    "OPS_RATE_LIMIT",
    default=600,
    minimum=1,
    about="Requests a minute from one address, and from one person or key.",
)
OPS_LOGIN_RATE_LIMIT = ENV.integer(
    "OPS_LOGIN_RATE_LIMIT", default=10, minimum=1, about="Login attempts a minute from one address."
)

ENV.section("Processes")
OPS_WORKER_THREADS = ENV.integer(
    "OPS_WORKER_THREADS", default=4, minimum=1, maximum=64, about="Job threads of the worker."
)
OPS_DRAIN_SECONDS = ENV.number(
    "OPS_DRAIN_SECONDS",
    default=5.0,
    minimum=0,
    maximum=300,
    about="After a stop signal, /readyz answers 503 for so long before connections are refused.",
)
OPS_STOP_SECONDS = ENV.number(
    "OPS_STOP_SECONDS",
    default=20.0,
    minimum=1,
    maximum=3600,
    about="After a stop signal, what still runs is killed.",
)
OPS_MODE = ENV.choice(
    "OPS_MODE",
    choices=("normal", "drill"),
    default="normal",
    about="drill: a restored copy that neither probes nor sends.",
)
OPS_ADMIN_PASSWORD_FILE = ENV.text(
    "OPS_ADMIN_PASSWORD_FILE",
    default="",
    about="The first admin's one-time password goes to this new file instead of the terminal.",
)

HTTPS = BASE_URL.startswith("https://")
if HTTPS and not OPS_TRUSTED_PROXIES:
    ENV.problem(
        "OPS_TRUSTED_PROXIES", "is 0, but a BASE_URL with https needs a proxy that ends TLS"
    )
ALLOWED_HOSTS = sorted(
    {"127.0.0.1", "localhost", "[::1]", urlsplit(BASE_URL).hostname or "localhost"}
    | {host for host in (OPS_HOST,) if host not in {"0.0.0.0", "::", ""}}  # noqa: S104  # compared, not bound
    | set(OPS_ALLOWED_HOSTS)
)
CSRF_TRUSTED_ORIGINS = [BASE_URL] if HTTPS else []
HOSTNAME = socket.gethostname()
