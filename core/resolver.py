"""Look names up without a thread, and outlive a dead name server for a while."""

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiodns
from aiodns import error as ares
from aiohttp.abc import AbstractResolver, ResolveResult

LEAST_SECONDS: Final = 5.0
MOST_SECONDS: Final = 300.0
STALE_SECONDS: Final = 600.0
PATIENCE_SECONDS: Final = 1.0
MOST_NAMES: Final = 20_000
MOST_SERVERS: Final = 200
TIMEOUT_SECONDS: Final = 2.0
TRIES: Final = 2

_MISSING: Final = frozenset({ares.ARES_ENOTFOUND, ares.ARES_ENODATA, ares.ARES_ENONAME})
_TEXTS: Final = {
    ares.ARES_ENOTFOUND: "There is no such name",
    ares.ARES_ENONAME: "There is no such name",
    ares.ARES_ENODATA: "The name has no such record",
    ares.ARES_ETIMEOUT: "The name server does not answer",
    ares.ARES_ECONNREFUSED: "The name server does not answer",
    ares.ARES_ESERVFAIL: "The name server failed",
    ares.ARES_EREFUSED: "The name server refuses the question",
    ares.ARES_EBADNAME: "This is not a name that can be looked up",
}


class LookUpError(OSError):
    """A name could not be looked up; `is_missing` when name servers say that it is not there."""

    def __init__(self, code: int) -> None:
        super().__init__(code, _TEXTS.get(code, "The name could not be looked up"))
        self.is_missing = code in _MISSING


@dataclass(slots=True)
class _Known:
    addresses: tuple[tuple[int, str], ...]
    until: float
    stale_until: float


class Resolver(AbstractResolver):
    """Addresses of names, remembered as long as their records say, within limits.

    While the name servers fail, the last answer goes on for ten minutes, and is given at the latest
    after a second: a check must not fail for a name that was fine a minute ago. Nobody asks twice
    at the same time.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, int], _Known] = {}
        self._asking: dict[tuple[str, int], asyncio.Task[_Known]] = {}
        self._channels: dict[tuple[str, int] | None, aiodns.DNSResolver] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name, as aiohttp wants them."""
        found = await self.addresses(host, family=family)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=its_family,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for its_family, address in found
        ]

    async def addresses(
        self, host: str, *, family: int = socket.AF_UNSPEC
    ) -> tuple[tuple[int, str], ...]:
        """Return families and addresses of a name; raises LookUpError."""
        key = (host.lower(), int(family))
        known = self._known.get(key)
        if known is not None and self._clock() < known.until:
            return known.addresses
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._look_up(*key))
            task.add_done_callback(lambda done: self._asked(key, done))
        # Others may wait for the same answer: whoever gives up does not end the question.
        if known is None or self._clock() >= known.stale_until:
            return (await asyncio.shield(task)).addresses
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not task.done():
            return known.addresses
        try:
            return task.result().addresses
        except LookUpError as error:
            if error.is_missing:
                self._known.pop(key, None)
                raise
            known.until = self._clock() + LEAST_SECONDS
            return known.addresses

    async def records(self, name: str, kind: str, *, server: tuple[str, int] | None) -> list[Any]:
        """Return the records of one type, as pycares has them, never from memory.

        Raises LookUpError.
        """
        try:
            answer = await self._channel(server).query_dns(name, kind)
        except ares.DNSError as error:
            raise LookUpError(_code(error)) from error
        return [record.data for record in answer.answer]

    async def close(self) -> None:
        """End what is under way and close the sockets."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        channels = list(self._channels.values())
        self._channels.clear()
        for channel in channels:
            await channel.close()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _look_up(self, host: str, family: int) -> _Known:
        try:
            answer = await self._channel(None).getaddrinfo(
                host,
                family=socket.AddressFamily(family),
                type=socket.SOCK_STREAM,
                flags=socket.AI_ADDRCONFIG,
            )
        except ares.DNSError as error:
            raise LookUpError(_code(error)) from error
        nodes = [(int(node.family), _text(node.addr[0])) for node in answer.nodes]
        if not nodes:
            raise LookUpError(ares.ARES_ENODATA)
        ttl = min(node.ttl for node in answer.nodes)
        now = self._clock()
        until = now + min(max(ttl, LEAST_SECONDS), MOST_SECONDS)
        return _Known(tuple(dict.fromkeys(nodes)), until, until + STALE_SECONDS)

    def _asked(self, key: tuple[str, int], task: asyncio.Task[_Known]) -> None:
        self._asking.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            return
        # Moved to the end: the oldest answers stand first and give way first.
        self._known.pop(key, None)
        self._known[key] = task.result()
        while len(self._known) > MOST_NAMES:
            self._known.pop(next(iter(self._known)))

    def _channel(self, server: tuple[str, int] | None) -> aiodns.DNSResolver:
        found = self._channels.get(server)
        if found is None:
            options: dict[str, Any] = {}
            if server is not None:
                address, port = server
                options = {"nameservers": [address], "udp_port": port, "tcp_port": port}
            found = aiodns.DNSResolver(timeout=TIMEOUT_SECONDS, tries=TRIES, **options)
            self._channels[server] = found
            self._close_unused()
        return found

    def _close_unused(self) -> None:
        """Close the channel that was made first, once there are many: checks come and go."""
        named = [server for server in self._channels if server is not None]
        if len(named) > MOST_SERVERS:
            task = asyncio.create_task(self._channels.pop(named[0]).close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _code(error: ares.DNSError) -> int:
    return int(error.args[0]) if error.args else ares.ARES_ENOTFOUND


def _text(address: bytes | str) -> str:
    return address.decode() if isinstance(address, bytes) else address
