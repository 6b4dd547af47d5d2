"""The one way out: HTTP requests with an address guard, limits and timings."""

import asyncio
import enum
import errno
import os
import socket
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp.abc import ResolveResult
from yarl import URL

from core.addresses import NO_EXCEPTIONS, Allow, Policy
from core.certificates import Certificate, certificate_of
from core.connecting import Guard, GuardedConnector
from core.http_timing import Hop, Phases, Stopwatch, current_hop, tls_context, tracing
from core.resolver import LookUpError, Resolver
from core.targets import InvalidTargetError, RefusedTargetError, check_url

__all__ = [
    "Allow",
    "Certificate",
    "Failure",
    "FetchError",
    "InvalidTargetError",
    "OutgoingRequest",
    "OutgoingResponse",
    "Phases",
    "Policy",
    "RefusedTargetError",
    "check_url",
    "fetch",
    "session",
    "text_of",
]

MAX_BODY_BYTES = 256 * 1024
MAX_HEADERS = 100
MAX_HEADER_BYTES = 8190
MAX_QUOTED_CHARACTERS = 1000
USER_AGENT = "OpsPlatform"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Any other header may be a secret by a name of the target's own.
_HARMLESS_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent"})
# What the library says of the commonest mistakes, in words.
_TLS_TEXTS = {
    "WRONG_VERSION_NUMBER": "The server does not speak TLS on this port",
    "UNEXPECTED_EOF_WHILE_READING": "The connection was closed during the TLS handshake",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "The server refused the TLS handshake",
    "TLSV1_ALERT_PROTOCOL_VERSION": "The server speaks no version of TLS that is safe",
    "UNSUPPORTED_PROTOCOL": "The server speaks no version of TLS that is safe",
}
_REPEATABLE = "Idempotency-Key"
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class Failure(enum.StrEnum):
    """Why no usable answer came."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"


class FetchError(Exception):
    """The exchange failed before a whole answer was read.

    `detail` holds fixed texts only. `excerpt` may quote what the server sent: it is for those who
    may read answers. `is_definite` when asking once more would hardly change it: the name is not
    there, or nobody listens. `is_untrusted` when only the certificate was in the way.
    """

    def __init__(
        self,
        failure: Failure,
        detail: str,
        phases: Phases,
        *,
        excerpt: str = "",
        is_definite: bool = False,
        is_untrusted: bool = False,
    ) -> None:
        super().__init__(f"{failure}: {detail}")
        self.failure = failure
        self.detail = detail
        self.phases = phases
        self.excerpt = excerpt
        self.is_definite = is_definite
        self.is_untrusted = is_untrusted


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """What to send and how long and how far to go for it.

    `timeout_seconds` covers everything, redirects included. `family` is that of the addresses to
    connect to, 0 for any.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout_seconds: float = 10.0
    max_redirects: int = 0
    max_body_bytes: int = MAX_BODY_BYTES
    verify_tls: bool = True
    family: int = 0


@dataclass(frozen=True, slots=True)
class OutgoingResponse:
    """An answer; `truncated` says that the body went on beyond the limit.

    The certificate is that of the first server that was asked over TLS.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    url: str
    phases: Phases
    certificate: Certificate | None = None


class _RefusedAddress(OSError):  # noqa: N818  # never leaves this module
    """Tells aiohttp that one of a host's addresses cannot be connected to."""


class _Broken(Exception):  # noqa: N818  # never leaves this module
    """Carries a broken connection, its cause, past aiohttp's own retry."""


def session(
    policy: Policy, allow: Allow = NO_EXCEPTIONS, *, keep_alive: bool = False
) -> aiohttp.ClientSession:
    """Open a session for `fetch` that judges every address it really connects to.

    A hook at the resolver would not see literal addresses, and a check before the lookup can be
    deceived by a second answer; the socket sees both. Limits of concurrency are the caller's.
    """
    guard = Guard(policy, _HopResolver(), allow)

    def guarded_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, proto, _, address = info
        hop = current_hop.get(None)
        host = hop.host if hop is not None else ""
        if not guard.allows(str(address[0]), port=int(address[1]), host=host):
            raise _RefusedAddress(str(policy))
        if hop is not None and hop.family not in {0, family}:
            # A literal address asks no resolver.
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return socket.socket(family=family, type=kind, proto=proto)

    return aiohttp.ClientSession(
        connector=GuardedConnector(
            guard, force_close=not keep_alive, limit=0, socket_factory=guarded_socket
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
        auto_decompress=False,
        headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        max_headers=MAX_HEADERS,
        trace_configs=[tracing()],
        middlewares=(_retry_stale,),
    )


class _HopResolver(Resolver):
    """Looks up addresses of the family that the request asks for: aiohttp knows one for all."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name."""
        hop = current_hop.get(None)
        wanted = socket.AddressFamily(hop.family) if hop is not None and hop.family else family
        return await super().resolve(host, port, wanted)


async def _retry_stale(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Let a broken connection count: aiohttp would quietly send a GET once more.

    A kept connection may have been closed by the server while the request was on its way; that
    says nothing about the server. Such a request is sent again if its key makes that safe, until
    it meets a new connection: each try uses up a kept one.
    """
    hop = current_hop.get()
    while True:
        hop.reused = False
        try:
            return await handler(request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            if not hop.reused or _REPEATABLE not in request.headers:
                raise _Broken from error


async def fetch(client: aiohttp.ClientSession, request: OutgoingRequest) -> OutgoingResponse:
    """Send a request and read its answer up to the limits.

    Raises InvalidTargetError or RefusedTargetError for a target (also one redirected to) that may
    not be asked, and FetchError for everything that happens on the way.
    """
    watch = Stopwatch()
    try:
        async with asyncio.timeout(request.timeout_seconds):
            return await _follow(client, request, watch)
    except TimeoutError as error:
        detail = f"No answer within {request.timeout_seconds:g} s."
        raise FetchError(Failure.TIMEOUT, detail, watch.phases()) from error
    except aiohttp.ClientConnectorDNSError as error:
        detail = error.os_error.strerror or "The name was not found"
        is_missing = isinstance(error.os_error, LookUpError) and error.os_error.is_missing
        raise FetchError(Failure.DNS, detail, watch.phases(), is_definite=is_missing) from error
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        cause = error.__cause__ or error
        is_untrusted = isinstance(cause, ssl.SSLCertVerificationError)
        raise FetchError(
            Failure.TLS, text_of(cause), watch.phases(), is_untrusted=is_untrusted
        ) from error
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, _RefusedAddress):
            raise RefusedTargetError(Policy(str(error.os_error))) from error
        raise FetchError(
            Failure.CONNECT,
            text_of(error.os_error),
            watch.phases(),
            is_definite=error.os_error.errno == errno.ECONNREFUSED,
        ) from error
    except aiohttp.InvalidURL as error:
        message = "This is not a URL that can be asked."
        raise InvalidTargetError(message) from error
    except (aiohttp.ClientError, _Broken, OSError) as error:
        raise _broken(error, watch.phases()) from error


async def _follow(
    client: aiohttp.ClientSession, request: OutgoingRequest, watch: Stopwatch
) -> OutgoingResponse:
    url = check_url(request.url)
    method, body, headers = request.method, request.body, dict(request.headers)
    certificate = None
    for _ in range(request.max_redirects + 1):
        hop = Hop(host=url.raw_host or "", watch=watch, family=request.family)
        current_hop.set(hop)
        async with client.request(
            method,
            url,
            headers=headers,
            data=body,
            allow_redirects=False,
            ssl=tls_context(verify=request.verify_tls) if url.scheme == "https" else True,
        ) as response:
            certificate = certificate or certificate_of(hop.tls)
            location = response.headers.get("Location")
            if not (request.max_redirects and response.status in _REDIRECTS and location):
                content, truncated = await _read(response, request.max_body_bytes)
                return OutgoingResponse(
                    status=response.status,
                    headers=response.headers,
                    body=content,
                    truncated=truncated,
                    url=str(url),
                    phases=watch.phases(),
                    certificate=certificate,
                )
            # The body of a redirect may never end; leaving the block then closes its connection.
        url, previous = _next_url(url, location), url
        if url.origin() != previous.origin():
            headers = {k: v for k, v in headers.items() if k.lower() in _HARMLESS_HEADERS}
        if response.status == 303 or (response.status in {301, 302} and method == "POST"):  # noqa: PLR2004  # the RFC speaks of the codes
            method, body = ("HEAD" if method == "HEAD" else "GET"), None
        if body is not None and url.origin() != previous.origin():
            message = "The server sends a request that has a body on to another place."
            raise InvalidTargetError(message)
    detail = f"More than {request.max_redirects} redirects."
    raise FetchError(Failure.PROTOCOL, detail, watch.phases())


def _next_url(current: URL, location: str) -> URL:
    try:
        target = check_url(str(current.join(URL(location))))
    except ValueError as error:
        message = "The server redirects to something that is not a URL."
        raise InvalidTargetError(message) from error
    if current.scheme == "https" and target.scheme == "http":
        message = "The server redirects from https to http."
        raise InvalidTargetError(message)
    return target


async def _read(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    """Read the body up to a limit, and unpack it up to the same limit."""
    raw = bytearray()
    truncated = False
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > limit:
            del raw[limit:]
            truncated = True
            response.close()
            break
    if response.headers.get("Content-Encoding", "").lower() not in {"gzip", "x-gzip", "deflate"}:
        return bytes(raw), truncated
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        content = unpacker.decompress(bytes(raw), limit)
    except zlib.error:
        return bytes(raw), truncated
    return content, truncated or bool(unpacker.unconsumed_tail)


def _broken(error: Exception, phases: Phases) -> FetchError:
    """Say in fixed words how an exchange broke.

    The parser quotes what it could not read, which is whatever listens at the port; everybody who
    may see the result of a check would read it.
    """
    if isinstance(error, aiohttp.ClientResponseError):
        detail = "The server does not speak HTTP, or its headers are too large."
        excerpt = str(error.message)[:MAX_QUOTED_CHARACTERS]
        return FetchError(Failure.PROTOCOL, detail, phases, excerpt=excerpt)
    if isinstance(error, aiohttp.ClientPayloadError):
        return FetchError(Failure.PROTOCOL, "The answer broke off or is malformed.", phases)
    cause = error.__cause__ if isinstance(error, _Broken) else error
    detail = "The connection was closed before an answer came"
    if isinstance(cause, OSError):
        detail = text_of(cause, otherwise=detail)
    return FetchError(Failure.PROTOCOL, f"{detail}.", phases)


def text_of(error: BaseException, *, otherwise: str = "The connection failed") -> str:
    """Say in the words of the system or of the TLS library what went wrong.

    Other texts may name addresses that a host has inside the network.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate is not valid: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        reason = error.reason or "TLS failed"
        return _TLS_TEXTS.get(reason, reason)
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number and number > 0 else otherwise
