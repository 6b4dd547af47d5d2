import asyncio

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from reliability.engine.probe import Failure
from tests.reliability.test_r2_probe_kinds import asked, target

ZONE = {
    ("example.com.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("example.com.", "MX"): ["10 mail.example.com.", "20 Mail2.example.com."],
    ("example.com.", "TXT"): ['"v=spf1 -all"', '"a" "b"'],
    ("example.com.", "CAA"): ['0 issue "letsencrypt.org"'],
    ("example.com.", "SOA"): ["ns.example.com. admin.example.com. 7 3600 600 86400 300"],
    ("_sip._tcp.example.com.", "SRV"): ["1 2 5060 sip.example.com."],
    ("1.2.0.192.in-addr.arpa.", "PTR"): ["example.com."],
    ("www.example.com.", "CNAME"): ["example.com."],
}


class Names(asyncio.DatagramProtocol):
    """A name server for the zone above; its answers can be held back."""

    def __init__(self, rcode=dns.rcode.NOERROR):
        self.rcode = rcode

    def connection_made(self, transport):
        """Keep the way back."""
        self.transport = transport

    def datagram_received(self, data, address):
        """Answer from the zone."""
        if self.rcode is None:
            return
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.set_rcode(self.rcode)
        (question,) = query.question
        kind = dns.rdatatype.to_text(question.rdtype)
        texts = ZONE.get((question.name.to_text().lower(), kind), [])
        if texts:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
        self.transport.sendto(answer.to_wire(), address)


def look_up(name, kind, *expected, rcode=dns.rcode.NOERROR, **options):
    async def scenario():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: Names(rcode), local_addr=("127.0.0.1", 0)
        )
        server = transport.get_extra_info("sockname")[:2]
        try:
            return await asked(
                target(
                    "dns",
                    name,
                    dns_type=kind,
                    dns_expected=frozenset(expected),
                    dns_server=server,
                    **options,
                )
            )
        finally:
            transport.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("example.com", "A", []),
        ("example.com", "A", ["192.0.2.2", "192.0.2.1"]),
        ("example.com", "MX", ["20 mail2.example.com", "10 MAIL.example.com."]),
        ("example.com", "TXT", ['"v=spf1 -all"', "ab"]),
        ("example.com", "CAA", ['0 issue "letsencrypt.org"']),
        (
            "example.com",
            "SOA",
            ["ns.example.com admin.example.com 7 3600 600 86400 300"],
        ),
        ("_sip._tcp.example.com", "SRV", ["1 2 5060 sip.example.com"]),
        ("1.2.0.192.in-addr.arpa", "PTR", ["example.com"]),
        ("www.example.com", "CNAME", ["example.com"]),
    ],
)
def test_records_are_compared_in_any_order_and_spelling(name, kind, expected):
    result = look_up(name, kind, *expected)

    assert (result.ok, result.detail) == (True, "")
    assert result.phases.dns_ms > 0


def test_other_records_fail_and_only_those_who_may_read_answers_see_them():
    result = look_up("example.com", "A", "192.0.2.1")

    assert (result.failure, result.detail) == (
        Failure.RECORD,
        "The A records are not those expected.",
    )
    assert result.excerpt == "192.0.2.1\n192.0.2.2"


def test_a_name_without_such_a_record_fails():
    result = look_up("example.com", "AAAA")

    assert (result.failure, result.is_definite) == (Failure.DNS, True)
    assert result.detail == "The name has no such record."


def test_a_name_that_is_not_there_fails_by_its_own_words():
    result = look_up("gone.example.com", "A", rcode=dns.rcode.NXDOMAIN)

    assert (result.failure, result.detail) == (Failure.DNS, "There is no such name.")


def test_a_name_server_that_is_silent_is_a_failure_in_time():
    result = look_up("example.com", "A", rcode=None, timeout_seconds=1)

    assert (result.ok, result.failure) == (False, Failure.TIMEOUT)


def test_a_name_server_that_fails_is_not_definite():
    result = look_up("example.com", "A", rcode=dns.rcode.SERVFAIL)

    assert (result.failure, result.is_definite) == (Failure.DNS, False)
