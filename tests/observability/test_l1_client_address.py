"""The client's address is what trusted proxies saw, never what the client wrote."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.engine.client_address import client_address

PEER = "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded_for", "hops", "address"),
    [
        ("", 0, PEER),
        ("203.0.113.9", 0, PEER),
        ("", 1, PEER),
        ("203.0.113.9", 1, "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9", 1, "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9, 10.0.0.2", 2, "203.0.113.9"),
        ("203.0.113.9", 2, PEER),
        ("203.0.113.9:4711", 1, "203.0.113.9"),
        ("2001:DB8::1", 1, "2001:db8::1"),
        ("[2001:db8::1]:4711", 1, "2001:db8::1"),
        ("unknown", 1, PEER),
        ("1.1.1.1, ", 1, PEER),
        ("203.0.113.9, <script>", 1, PEER),
    ],
)
def test_entries_are_counted_from_the_right(forwarded_for, hops, address):
    assert client_address(PEER, forwarded_for, hops) == address


@given(st.text(max_size=60), st.integers(0, 4))
def test_it_is_always_an_address(forwarded_for, hops):
    ipaddress.ip_address(client_address(PEER, forwarded_for, hops))
