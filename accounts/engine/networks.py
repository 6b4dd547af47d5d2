"""Lists of networks that somebody may come from (SPEC A10)."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Network: TypeAlias = IPv4Network | IPv6Network

MOST: Final = 100
"""Networks of one list; more is a firewall's work."""
_MAPPED: Final = 96


def parse(texts: Iterable[str]) -> tuple[str, ...]:
    """Return networks in one spelling, sorted and without doubles; an address is a network of one.

    Raises ValueError whose text names the entry and what to write instead.
    """
    found: dict[Network, None] = {}
    for text in texts:
        if cleaned := text.strip():
            found[_network(cleaned)] = None
    if len(found) > MOST:
        message = f"{len(found)} networks are more than {MOST}; name larger ones."
        raise ValueError(message)
    return tuple(str(network) for network in sorted(found, key=_order))


def allows(networks: tuple[str, ...], address: str) -> bool:
    """Tell whether the address may come in; no list lets everybody in, no address nobody."""
    return not networks or _inside(networks, address)


@lru_cache(maxsize=8192)
def _inside(networks: tuple[str, ...], address: str) -> bool:
    try:
        given = _plain(ip_address(address))
    except ValueError:
        return False
    return any(
        given.version == network.version and given in network for network in _compiled(networks)
    )


@lru_cache(maxsize=512)
def _compiled(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(_network(text) for text in networks)


def _network(text: str) -> Network:
    if "%" in text:
        message = f"{text}: leave the zone out."
        raise ValueError(message)
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError(_why(text)) from None
    # ::ffff:192.0.2.0/120 means IPv4 hosts, which requests name by their IPv4 address.
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED))
    return network


def _why(text: str) -> str:
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        return f"{text[:60]} is no network; write one like 192.0.2.0/24 or 2001:db8::/32."
    return f"{text} names a host within a network; write {meant}, or the host alone."


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address


def _order(network: Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen
