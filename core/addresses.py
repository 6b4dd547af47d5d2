"""Which network addresses the platform's own requests may reach."""

import enum
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Self, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

MAX_PORT = 65535


class Policy(enum.StrEnum):
    """Who chose the target: an operator's check, or a webhook and other user URL."""

    MONITOR = "monitor"
    OUTBOUND = "outbound"


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


# No policy and no exception reaches these: link-local networks, and the fixed addresses at which
# clouds hand out credentials (Azure's is public, those of AWS and GCP for IPv6 are private).
_NEVER = _networks(
    "169.254.0.0/16",
    "fe80::/10",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
    "fd00:ec2::254/128",
    "fd20:ce::254/128",
)

# The standard library's is_private and is_global differ between Python versions, hence own lists.
_SPECIAL = _networks(
    "0.0.0.0/8",
    "100.64.0.0/10",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    # Prefixes of a network's own within it may have any length: what they lead to cannot be told.
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fec0::/10",
    "ff00::/8",
)
_INSIDE = _networks(
    "10.0.0.0/8",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)
_REFUSED = {Policy.MONITOR: _SPECIAL, Policy.OUTBOUND: _SPECIAL + _INSIDE}

# Services that act on the first line of an HTTP request they do not understand.
_REFUSED_PORTS = frozenset(
    {22, 23, 25, 110, 111, 135, 139, 143, 389, 445, 465, 587, 636, 993, 995}
    | {1433, 2375, 2379, 3306, 5432, 5672, 6379, 9042, 11211, 27017}
)

# IPv6 networks whose addresses carry an IPv4 address, with the distance of its lowest bit.
_CARRIERS = (
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("::ffff:0:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("64:ff9b:1::/48"), 0),
    (IPv6Network("2002::/16"), 80),
)
_IPV4_MASK = 0xFFFFFFFF
_COMPATIBLE = IPv6Network("::/96")
_LOOPBACK_AND_UNSPECIFIED = 1


@dataclass(frozen=True, slots=True)
class Allow:
    """The operator's exceptions: whole networks, and single hosts on one port."""

    networks: tuple[Network, ...] = ()
    endpoints: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def parse(cls, items: Iterable[str]) -> Self:
        """Read entries such as `10.0.0.0/8`, `hooks.internal:8443` or `[::1]:9000`."""
        networks: list[Network] = []
        endpoints: set[tuple[str, int]] = set()
        for item in items:
            try:
                networks.append(ip_network(item.strip()))
            except ValueError:
                endpoints.add(_endpoint(item.strip()))
        return cls(tuple(networks), frozenset(endpoints))

    def covers(self, address: Address, *, host: str, port: int) -> bool:
        """Tell whether an exception names this address, or its host with this port."""
        return (
            (host.lower(), port) in self.endpoints
            or (str(address), port) in self.endpoints
            or any(address in network for network in self.networks)
        )


NO_EXCEPTIONS = Allow()


def _endpoint(item: str) -> tuple[str, int]:
    host, _, port = item.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    number = int(port) if port.isascii() and port.isdecimal() else 0
    if not bare or "/" in bare or (":" in bare and bare == host) or not 0 < number <= MAX_PORT:
        message = f"{item!r} is neither a network such as 10.0.0.0/8 nor a host:port."
        raise ValueError(message)
    try:
        return str(ip_address(bare)), number
    except ValueError:
        return bare.lower(), number


def _faces(address: Address) -> tuple[Address, ...]:
    """List the address and every IPv4 address that a gateway would make of it."""
    if isinstance(address, IPv4Address):
        return (address,)
    value = int(address)
    faces: list[Address] = [address]
    faces.extend(
        IPv4Address((value >> shift) & _IPV4_MASK)
        for network, shift in _CARRIERS
        if address in network
    )
    if address in IPv6Network("64:ff9b:1::/48"):
        # RFC 6052 places the address around a reserved octet when the prefix has 48 bits.
        faces.append(IPv4Address((((value >> 64) & 0xFFFF) << 16) | ((value >> 40) & 0xFFFF)))
        # The same for 56 and for 64 bits.
        faces.append(IPv4Address((((value >> 64) & 0xFF) << 24) | ((value >> 32) & 0xFFFFFF)))
        faces.append(IPv4Address((value >> 24) & _IPV4_MASK))
    if address in _COMPATIBLE and value > _LOOPBACK_AND_UNSPECIFIED:
        faces.append(IPv4Address(value & _IPV4_MASK))
    return tuple(faces)


@functools.lru_cache(maxsize=8192)
def is_allowed(
    address: str, *, port: int, policy: Policy, allow: Allow = NO_EXCEPTIONS, host: str = ""
) -> bool:
    """Judge one address that a connection is about to be made to.

    `host` is the name the address was found by: exceptions may name it. An IPv6 address that
    carries an IPv4 address must pass in both shapes.
    """
    faces = _faces(ip_address(address))
    if any(face in network for face in faces for network in _NEVER):
        return False
    if any(allow.covers(face, host=host, port=port) for face in faces):
        return True
    if policy is Policy.OUTBOUND and port in _REFUSED_PORTS:
        return False
    return not any(face in network for face in faces for network in _REFUSED[policy])
