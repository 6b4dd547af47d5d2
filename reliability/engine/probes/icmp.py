"""A ping: ICMP echo over sockets that need no privilege, where the kernel lets us."""

import asyncio
import os
import socket
import struct
from itertools import count

import aiohttp

from core.connecting import guard_of
from core.http import Phases
from core.http_timing import Stopwatch
from reliability.engine.probes.base import Failure, Finding, Target
from reliability.engine.probes.sockets import timed

FORBIDDEN = (
    "The kernel forbids pings to this user: let net.ipv4.ping_group_range include its group."
)
ATTEMPTS = 3

_ECHO = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
_PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
_HEADER = struct.Struct("!BBHHH")
_MARK_BYTES = 16
_MOST_BYTES = 2048
_IP_VERSION_4 = 4
_numbers = count()


async def ask(client: aiohttp.ClientSession, target: Target) -> Finding:
    """Send up to three echoes within the time; one reply suffices."""

    async def question(watch: Stopwatch) -> Finding:
        guard = guard_of(client)
        addresses = await guard.addresses(target.name, 0, family=target.address_family)
        watch.lap("dns")
        family, address = addresses[0]
        try:
            connected = _open(family)
        except PermissionError:
            return Finding(Phases(), Failure.SETUP, FORBIDDEN)
        with connected:
            connected.connect((address, 0))
            await _echo(connected, family, pause=target.rules.timeout_seconds / ATTEMPTS)
        watch.lap("first_byte")
        return Finding(watch.phases())

    return await timed(question, seconds=target.rules.timeout_seconds)


def _open(family: int) -> socket.socket:
    """Open a socket for echoes: one of the kernel's own kind, or else a raw one for root."""
    try:
        opened = socket.socket(family, socket.SOCK_DGRAM, _PROTOCOL[socket.AddressFamily(family)])
    except PermissionError:
        opened = socket.socket(family, socket.SOCK_RAW, _PROTOCOL[socket.AddressFamily(family)])
    opened.setblocking(False)  # noqa: FBT003  # the library's signature
    return opened


async def _echo(connected: socket.socket, family: int, *, pause: float) -> None:
    """Return when a reply came; ask again after a pause, for packets get lost."""
    loop = asyncio.get_running_loop()
    mark = os.urandom(_MARK_BYTES)
    while True:
        connected.send(_packet(family, next(_numbers) & 0xFFFF, mark))
        try:
            async with asyncio.timeout(pause):
                while not _is_reply(await loop.sock_recv(connected, _MOST_BYTES), family, mark):
                    pass
        except TimeoutError:
            continue
        return


def _packet(family: int, number: int, mark: bytes) -> bytes:
    kind = _ECHO[socket.AddressFamily(family)]
    identity = os.getpid() & 0xFFFF
    if family == socket.AF_INET6:
        # The kernel sums up what goes over IPv6.
        return _HEADER.pack(kind, 0, 0, identity, number) + mark
    total = _checksum(_HEADER.pack(kind, 0, 0, identity, number) + mark)
    return _HEADER.pack(kind, 0, total, identity, number) + mark


def _is_reply(packet: bytes, family: int, mark: bytes) -> bool:
    """Tell the reply to our echo; a raw socket hears those to others too, with the IPv4 header."""
    if family == socket.AF_INET and packet and packet[0] >> 4 == _IP_VERSION_4:
        packet = packet[(packet[0] & 0x0F) * 4 :]
    is_reply = packet[:1] == bytes([_REPLY[socket.AddressFamily(family)]])
    return is_reply and packet[_HEADER.size :] == mark


def _checksum(data: bytes) -> int:
    """Sum up as RFC 1071 says."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
