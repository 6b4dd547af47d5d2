"""How long each part of an outgoing exchange takes, down to the TLS handshake."""

import contextvars
import functools
import ssl
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp


@dataclass(frozen=True, slots=True)
class Phases:
    """Milliseconds spent in each part of an exchange, summed over its redirects."""

    dns_ms: float = 0.0
    connect_ms: float = 0.0
    tls_ms: float = 0.0
    first_byte_ms: float = 0.0
    total_ms: float = 0.0


class Stopwatch:
    """Laps of one exchange, driven by aiohttp's tracing and the TLS context."""

    __slots__ = ("laps", "mark", "started")

    def __init__(self) -> None:
        self.laps = {"connect": 0.0, "dns": 0.0, "first_byte": 0.0, "tls": 0.0}
        self.started = self.mark = time.perf_counter()

    def lap(self, name: str) -> None:
        """Add the time since the mark to a phase, and set the mark anew."""
        now = time.perf_counter()
        self.laps[name] += now - self.mark
        self.mark = now

    def phases(self) -> Phases:
        """Return the laps so far and the time since the start."""
        laps = {f"{name}_ms": seconds * 1000 for name, seconds in self.laps.items()}
        return Phases(**laps, total_ms=(time.perf_counter() - self.started) * 1000)


@dataclass(slots=True)
class Hop:
    """The request that the running task is connecting for."""

    host: str
    watch: Stopwatch
    family: int = 0
    reused: bool = False
    # The handshake of this hop, kept: the connection is gone when a short answer is read.
    tls: ssl.SSLObject | None = None


# aiohttp resolves and connects in tasks of its own; they inherit the context of the request.
current_hop: contextvars.ContextVar[Hop] = contextvars.ContextVar("outgoing_hop")


class _LightObject(ssl.SSLObject):
    """Takes no certificate apart for transports, which ask at each handshake; nobody reads that."""

    def getpeercert(self, binary_form: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002  # as the base has it
        """Return the certificate as it came, or no details of it."""
        return super().getpeercert(binary_form=True) if binary_form else {}


class _TimedContext(ssl.SSLContext):
    """Notes when the handshake begins: aiohttp's tracing does not tell."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:  # noqa: ANN401  # as the base has it
        hop = current_hop.get(None)
        if hop is None:
            return super().wrap_bio(*args, **kwargs)
        hop.watch.lap("connect")
        hop.tls = super().wrap_bio(*args, **kwargs)
        return hop.tls


@functools.cache
def tls_context(*, verify: bool) -> ssl.SSLContext:
    """Make one context per mode: loading the certificate store costs 20 ms of CPU."""
    context = _TimedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslobject_class = _LightObject
    context.set_alpn_protocols(["http/1.1"])
    if verify:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def tracing() -> aiohttp.TraceConfig:
    """Make the hooks that tell the current hop how far its connection is."""

    async def lap_dns(*_: object) -> None:
        current_hop.get().watch.lap("dns")

    async def connected(*_: object) -> None:
        hop = current_hop.get()
        hop.watch.lap("connect" if hop.tls is None else "tls")

    async def answered(*_: object) -> None:
        current_hop.get().watch.lap("first_byte")

    async def note_reuse(*_: object) -> None:
        current_hop.get().reused = True

    async def set_mark(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object
    ) -> None:
        current_hop.get().watch.mark = time.perf_counter()

    config = aiohttp.TraceConfig()
    config.on_connection_create_start.append(set_mark)
    config.on_dns_resolvehost_start.append(set_mark)
    config.on_dns_resolvehost_end.append(lap_dns)
    config.on_connection_create_end.append(connected)
    config.on_connection_reuseconn.append(note_reuse)
    config.on_request_end.append(answered)
    return config
