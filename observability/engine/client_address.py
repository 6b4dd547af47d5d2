"""Find the client's address behind reverse proxies."""

from __future__ import annotations

import ipaddress


def client_address(peer: str, forwarded_for: str, trusted_hops: int) -> str:
    """Return the address that the outermost trusted proxy saw.

    Each proxy appends the address it was called from to X-Forwarded-For, so entries are counted
    from the right: whatever stands further left was written by the client. With fewer entries
    than trusted proxies, or with one that is no address, the peer itself counts.
    """
    if not trusted_hops or not forwarded_for:
        return peer
    hops = forwarded_for.split(",")
    if len(hops) < trusted_hops:
        return peer
    return _address(hops[-trusted_hops]) or peer


def _address(entry: str) -> str:
    """Return an address in its usual spelling, without the port that some proxies add."""
    text = entry.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
