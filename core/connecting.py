"""Connect to what is not asked over HTTP, under the same rules."""

import asyncio
import errno
import os
import socket
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import aiohappyeyeballs
import aiohttp
from aiohttp.client_proto import ResponseHandler

from core.addresses import NO_EXCEPTIONS, Allow, Policy, is_allowed
from core.certificates import Certificate, certificate_of
from core.http_timing import Stopwatch, tls_context
from core.resolver import LookUpError, Resolver
from core.targets import RefusedTargetError

NEXT_ADDRESS_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Guard:
    """Which addresses may be reached, and how names become addresses."""

    policy: Policy
    resolver: Resolver
    allow: Allow = NO_EXCEPTIONS

    def allows(self, address: str, *, port: int, host: str) -> bool:
        """Judge one address."""
        return is_allowed(address, port=port, policy=self.policy, allow=self.allow, host=host)

    async def addresses(self, host: str, port: int, *, family: int) -> list[tuple[int, str]]:
        """Return the addresses of a host that may be reached.

        Raises LookUpError, and RefusedTargetError if the host has none that may.
        """
        literal = _literal(host)
        if literal is not None and family not in {literal, socket.AF_UNSPEC}:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        found = (
            await self.resolver.addresses(host, family=family)
            if literal is None
            else ((literal, host),)
        )
        allowed = [one for one in found if self.allows(one[1], port=port, host=host)]
        if not allowed:
            raise RefusedTargetError(self.policy)
        return allowed


class GuardedConnector(aiohttp.TCPConnector):
    """A connector that carries its guard, so that other kinds of questions keep the same rules."""

    def __init__(self, guard: Guard, **options: object) -> None:
        super().__init__(resolver=guard.resolver, use_dns_cache=False, **options)  # type: ignore[arg-type]  # as the base has them
        self.guard = guard

    async def _wrap_create_connection(
        self,
        *args: Any,  # noqa: ANN401  # as the base has it
        addr_infos: list[aiohttp.AddrInfoType],
        req: aiohttp.ClientRequest,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # as the base has it
        client_error: type[Exception] = aiohttp.ClientConnectorError,
        **options: Any,  # noqa: ANN401  # as the base has it
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        """Connect to a single address directly: there is no race to be run."""
        if len(addr_infos) > 1 or self._socket_factory is None:
            return await super()._wrap_create_connection(
                *args,
                addr_infos=addr_infos,
                req=req,
                timeout=timeout,
                client_error=client_error,
                **options,
            )
        try:
            connected = await _connected(self._socket_factory(addr_infos[0]), addr_infos[0][4])
            return await self._loop.create_connection(*args, **options, sock=connected)
        except ssl.CertificateError as error:
            raise aiohttp.ClientConnectorCertificateError(req.connection_key, error) from error
        except ssl.SSLError as error:
            raise aiohttp.ClientConnectorSSLError(req.connection_key, error) from error
        except OSError as error:
            raise client_error(req.connection_key, error) from error

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close the connections, and the resolver with its questions."""
        await super().close(abort_ssl=abort_ssl)
        await self.guard.resolver.close()


async def _connected(made: socket.socket, address: Any) -> socket.socket:  # noqa: ANN401  # by its family
    try:
        made.setblocking(False)  # noqa: FBT003  # the library's signature
        await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made


def guard_of(client: aiohttp.ClientSession) -> Guard:
    """Return the rules of a session made by `core.http.session`."""
    connector = client.connector
    if not isinstance(connector, GuardedConnector):
        message = "The session has no guard; make it by core.http.session."
        raise TypeError(message)
    return connector.guard


async def connect(
    guard: Guard, host: str, port: int, *, family: int, watch: Stopwatch
) -> socket.socket:
    """Open a TCP connection to the first address that answers.

    Raises LookUpError, RefusedTargetError or another OSError.
    """
    found = await guard.addresses(host, port, family=family)
    watch.lap("dns")
    infos = [
        (
            its_family,
            socket.SOCK_STREAM,
            socket.IPPROTO_TCP,
            "",
            (address, port) if its_family == socket.AF_INET else (address, port, 0, 0),
        )
        for its_family, address in found
    ]
    try:
        return await aiohappyeyeballs.start_connection(
            infos, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS
        )
    finally:
        watch.lap("connect")


async def shake_hands(
    connected: socket.socket, host: str, *, verify: bool, watch: Stopwatch
) -> Certificate | None:
    """Begin TLS on a connection, return what the server shows, and hang up.

    Raises ssl.SSLError or another OSError.
    """
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(
        asyncio.Protocol,
        sock=connected,
        ssl=tls_context(verify=verify),
        server_hostname=host.rstrip("."),
    )
    try:
        shown: ssl.SSLObject = transport.get_extra_info("ssl_object")
        return certificate_of(shown)
    finally:
        watch.lap("tls")
        transport.abort()


def _literal(host: str) -> int | None:
    try:
        return socket.AF_INET if ip_address(host).version == 4 else socket.AF_INET6  # noqa: PLR2004  # as people say it
    except ValueError:
        return None


__all__ = [
    "Guard",
    "GuardedConnector",
    "LookUpError",
    "connect",
    "guard_of",
    "shake_hands",
]
