import asyncio
import socket
from datetime import UTC, datetime, timedelta

import pytest
import uvloop

from core.http import Policy, session
from reliability.engine.probe import Failure, Target, probe
from reliability.engine.probes import icmp
from reliability.engine.probes.tls import ends_soon
from reliability.engine.strikes import Rules
from tests.support.certificates import Authority, shaking_hands
from tests.support.servers import self_signed, unused_port

AT = datetime(2026, 1, 1, tzinfo=UTC)


def target(kind, name="127.0.0.1", *, timeout_seconds=5, **options):
    rules = Rules(interval_seconds=60, timeout_seconds=timeout_seconds)
    return Target(1, 1, "", rules, 20, kind=kind, name=name, **options)


async def asked(target):
    async with session(Policy.MONITOR) as client:
        return await probe(client, target, at=AT)


def ask(target, loop_factory=None):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(asked(target))


# TCP


@pytest.mark.parametrize("loop_factory", [None, uvloop.new_event_loop])
def test_a_port_at_which_somebody_listens_is_up(loop_factory):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = ask(target("tcp", port=listener.getsockname()[1]), loop_factory)

    assert (result.ok, result.failure, result.detail) == (True, None, "")
    assert result.latency_ms >= result.phases.connect_ms > 0


@pytest.mark.parametrize("loop_factory", [None, uvloop.new_event_loop])
def test_a_port_at_which_nobody_listens_is_definitely_refused(loop_factory):
    result = ask(target("tcp", port=unused_port()), loop_factory)

    assert (result.ok, result.failure, result.is_definite) == (False, Failure.CONNECT, True)
    assert result.detail == "Connection refused"


def test_a_name_that_is_not_there_is_definite():
    result = ask(target("tcp", "does-not-exist.invalid", port=9))

    assert (result.failure, result.is_definite) == (Failure.DNS, True)
    assert result.detail == "There is no such name."


@pytest.mark.parametrize("kind", ["tcp", "tls", "icmp"])
@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"])
def test_no_kind_reaches_a_metadata_address(kind, address):
    result = ask(target(kind, address, port=80))

    assert (result.ok, result.failure) == (False, Failure.REFUSED)
    assert "OPS_OUTGOING_ALLOW" in result.detail


def test_a_name_server_at_a_metadata_address_is_refused():
    result = ask(target("dns", "example.com", dns_server=("169.254.169.254", 53)))

    assert result.failure is Failure.REFUSED


def test_an_address_of_the_other_family_is_not_asked():
    result = ask(target("tcp", port=unused_port(), family="ipv6"))

    assert result.detail == "Address family not supported by protocol"


# TLS


@pytest.fixture
def authority(tmp_path, monkeypatch):
    return Authority(tmp_path, monkeypatch)


def shake(context, **options):
    with shaking_hands(context) as port:
        return ask(target("tls", port=port, **options))


def test_a_good_certificate_is_up_and_told(authority):
    result = shake(authority.context(days=30), tls_min_days=14)

    assert (result.ok, result.detail) == (True, "")
    left = result.certificate.not_after - datetime.now(UTC)
    assert timedelta(days=29) < left < timedelta(days=31)
    assert len(result.certificate.fingerprint) == 64


def test_a_certificate_that_ends_soon_fails_with_its_days(authority):
    result = shake(authority.context(days=5.5), tls_min_days=14)

    assert (result.ok, result.failure) == (False, Failure.EXPIRY)
    assert result.detail.startswith("The certificate ends in 5 days, on ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"days": -1}, "The certificate is not valid: certificate has expired."),
        ({"begins": 2}, "The certificate is not valid: certificate is not yet valid."),
        ({"name": "other.example"}, "The certificate is not valid: IP address mismatch"),
    ],
)
def test_a_bad_certificate_fails_and_is_read_all_the_same(authority, options, words):
    result = shake(authority.context(**options))

    assert (result.ok, result.failure) == (False, Failure.TLS)
    assert result.detail.startswith(words)
    assert result.certificate is not None


def test_nobody_vouches_for_a_certificate_of_its_own(tmp_path):
    result = shake(self_signed(tmp_path))

    assert result.failure is Failure.TLS
    assert "self-signed certificate" in result.detail
    assert shake(self_signed(tmp_path), verify_tls=False).ok


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=14), ""),
        (timedelta(days=13), "The certificate ends in 13 days, on 2026-01-14 00:00 UTC."),
        (timedelta(days=1, hours=5), "The certificate ends in 1 day, on 2026-01-02 05:00 UTC."),
        (timedelta(hours=5), "The certificate ends in less than a day, on 2026-01-01 05:00 UTC."),
        (timedelta(hours=-5), "The certificate ended on 2025-12-31 19:00 UTC."),
    ],
)
def test_the_words_about_the_end_of_a_certificate(left, words):
    from core.certificates import Certificate

    certificate = Certificate(AT - timedelta(days=90), AT + left, "")

    assert ends_soon(certificate, min_days=14, now=AT) == words
    assert ends_soon(certificate, min_days=0, now=AT) == ""


def test_a_server_that_speaks_no_tls_is_a_failure_of_tls():
    assert shake(None).failure is Failure.TLS


# ICMP


def may_ping():
    try:
        icmp._open(socket.AF_INET).close()
    except PermissionError:
        return False
    return True


@pytest.mark.skipif(not may_ping(), reason="the kernel forbids pings to this user")
@pytest.mark.parametrize("loop_factory", [None, uvloop.new_event_loop])
def test_a_ping_comes_back(loop_factory):
    result = ask(target("icmp"), loop_factory)

    assert (result.ok, result.detail) == (True, "")
    assert result.latency_ms > 0


def test_a_kernel_that_forbids_pings_says_nothing_about_the_target(monkeypatch):
    def forbidden(_family):
        raise PermissionError

    monkeypatch.setattr(icmp, "_open", forbidden)

    result = ask(target("icmp"))

    assert (result.ok, result.failure, result.is_unknown) == (False, Failure.SETUP, True)
    assert "net.ipv4.ping_group_range" in result.detail


def test_replies_to_others_are_not_ours():
    mark = b"m" * 16
    reply = icmp._packet(socket.AF_INET, 1, mark)
    ours = b"\0" + reply[1:]

    assert icmp._is_reply(ours, socket.AF_INET, mark)
    assert icmp._is_reply(b"\x45" + b"\0" * 19 + ours, socket.AF_INET, mark)
    assert not icmp._is_reply(ours, socket.AF_INET, b"x" * 16)
    assert not icmp._is_reply(reply, socket.AF_INET, mark)
    assert not icmp._is_reply(b"", socket.AF_INET, mark)
