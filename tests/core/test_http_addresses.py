import pytest

from core.addresses import Allow, Policy, is_allowed

METADATA = [
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::169.254.169.254",
    "64:ff9b:1:a9fe:a9:fe00::",
    "2002:a9fe:a9fe::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
]
INSIDE = ["10.1.2.3", "172.31.255.255", "192.168.0.1", "127.0.0.1", "127.8.9.10", "::1", "fd12::1"]
SPECIAL = [
    "0.0.0.0",  # noqa: S104  # never bound, only judged
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "2001:db8::1",
    "3fff:fff::1",
    "5f00::1",
    "2001::1",
    "ff02::1",
    "fec0::1",
    "::ffff:0.0.0.0",
]
PUBLIC = ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "2002:0101:0101::1"]


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("address", METADATA)
def test_metadata_and_link_local_are_never_reached_not_even_by_exception(address, policy):
    everything = Allow.parse(["0.0.0.0/0", "::/0", f"[{address.split('%')[0]}]:80", "meta:80"])

    assert not is_allowed(address, port=80, policy=policy, allow=everything, host="meta")


@pytest.mark.parametrize("address", INSIDE)
def test_private_addresses_are_for_the_monitor_only(address):
    assert is_allowed(address, port=8000, policy=Policy.MONITOR)
    assert not is_allowed(address, port=8000, policy=Policy.OUTBOUND)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses_are_refused_unless_the_operator_lists_them(address, policy):
    listed = Allow.parse(["0.0.0.0/0", "::/0"])

    assert not is_allowed(address, port=80, policy=policy)
    assert is_allowed(address, port=80, policy=policy, allow=listed)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(address, policy):
    assert is_allowed(address, port=443, policy=policy)


@pytest.mark.parametrize(
    "address", ["::ffff:10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::"]
)
def test_a_private_address_inside_an_ipv6_one_is_seen(address):
    assert not is_allowed(address, port=80, policy=Policy.OUTBOUND)
    assert is_allowed(address, port=80, policy=Policy.MONITOR)


@pytest.mark.parametrize("port", [22, 25, 5432, 6379, 11211])
def test_outbound_refuses_ports_of_services_that_misread_http(port):
    assert not is_allowed("1.1.1.1", port=port, policy=Policy.OUTBOUND)
    assert is_allowed("1.1.1.1", port=port, policy=Policy.MONITOR)


def test_an_exception_for_a_host_holds_for_its_port_only():
    allow = Allow.parse(["Hooks.internal:8443", "[::1]:9000", "10.0.0.7:80"])

    def reached(address, port, host=""):
        return is_allowed(address, port=port, policy=Policy.OUTBOUND, allow=allow, host=host)

    assert reached("10.1.1.1", 8443, "hooks.internal")
    assert not reached("10.1.1.1", 8444, "hooks.internal")
    assert not reached("10.1.1.1", 8443, "other.internal")
    assert reached("::1", 9000)
    assert not reached("::1", 9001)
    assert reached("10.0.0.7", 80)
    assert not reached("10.0.0.8", 80)


@pytest.mark.parametrize(
    "item",
    ["", "host", "host:0", "host:65536", "host:http", ":80", "10.0.0.1/8", "a/b:80", "a:b:1"],
)
def test_an_exception_that_cannot_be_read_is_named(item):
    with pytest.raises(ValueError, match="neither a network"):
        Allow.parse(["10.0.0.0/8", item])
