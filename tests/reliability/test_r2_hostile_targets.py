"""Whatever a target shows or an operator writes, the check says something and no other suffers."""

import asyncio
from datetime import UTC, datetime

import pytest
from aiohttp import web
from cryptography import x509
from django.core.exceptions import ValidationError

from core import certificates
from core.addresses import Allow, Policy, is_allowed
from core.http import InvalidTargetError, OutgoingRequest, fetch, session
from reliability.engine import assertions, probe
from reliability.engine.assertions import Answer
from reliability.engine.strikes import Rules
from reliability.models import Check
from reliability.models.fields import validate_assertions, validate_host, validate_name_server
from reliability.selectors import configuration
from tests.support.servers import serving

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_certificate_that_cannot_be_read_is_none(monkeypatch):
    def odd(_encoded):
        message = "5 is no version"
        raise x509.InvalidVersion(message, 5)

    monkeypatch.setattr(certificates.x509, "load_der_x509_certificate", odd)

    assert certificates.read(b"odd bytes") is None


def test_what_cannot_be_judged_is_a_failure_that_is_seen(monkeypatch, caplog):
    async def broken(_client, _target):
        message = "unhashable"
        raise TypeError(message)

    monkeypatch.setattr(probe, "KINDS", {"http": broken})
    target = probe.Target(7, 1, "http://127.0.0.1:9/", Rules(60, 10), 20)

    result = asyncio.run(probe.probe(None, target, at=NOW))

    assert (result.ok, result.failure, result.detail) == (False, "protocol", probe.UNJUDGED)
    assert "What check 7 was answered cannot be judged." in caplog.text


def test_a_list_is_in_no_object():
    wanted = assertions.parse([{"source": "json", "comparison": "contains", "value": [1]}])

    assert assertions.unmet(wanted, Answer(b'{"a": 1}', {}, 1.0)) != ""
    assert assertions.unmet(wanted, Answer(b"[[1]]", {}, 1.0)) == ""


@pytest.mark.parametrize(
    "value", [2**64, -(2**63) - 1, float("nan"), float("inf"), "a\0", ["\0"], {"\0": 1}, "\ud800"]
)
def test_values_that_no_database_keeps_are_refused(value):
    with pytest.raises(ValidationError, match="64 bits"):
        validate_assertions([{"source": "json", "comparison": "equals", "value": value}])


def test_long_numbers_can_be_shown():
    one = {"source": "json", "comparison": "equals", "value": 2**70}

    assert assertions.to_lines([one]) == f"json equals {2**70}"


@pytest.mark.parametrize("field", ["body", "dns_expected"])
def test_texts_have_no_nul(field):
    with pytest.raises(ValidationError) as caught:
        Check(url="http://127.0.0.1/", **{field: "a\0"}).clean()

    assert caught.value.message_dict == {field: ["Leave out the NUL character."]}


@pytest.mark.django_db
def test_a_check_that_was_stored_before_a_rule_keeps_no_other_unwatched(make_check, caplog):
    odd, fine = make_check(), make_check()
    Check.objects.filter(pk=odd.pk).update(assertions=[{"source": "stars"}])

    assert [target.check_id for target, _ in configuration.watches([odd.pk, fine.pk])] == [fine.pk]
    assert f"Check {odd.pk} cannot be asked as it is stored" in caplog.text


def test_scopes_are_no_part_of_an_address():
    with pytest.raises(ValidationError):
        validate_host("::1%lo")
    with pytest.raises(ValidationError):
        validate_name_server("fe80::1%eth0")


@pytest.mark.parametrize(
    "address", ["64:ff9b:1:8a9:fe:a9fe:808:808", "64:ff9b:1:801:c0:a801:500:0"]
)
@pytest.mark.parametrize("policy", Policy)
def test_local_prefixes_are_refused_whatever_their_length(address, policy):
    assert not is_allowed(address, port=80, policy=policy)


def test_no_exception_opens_the_way_to_credentials_through_a_local_prefix():
    allow = Allow.parse(["64:ff9b:1::/48"])
    policy = Policy.MONITOR

    assert not is_allowed("64:ff9b:1:8a9:fe:a9fe:808:808", port=80, policy=policy, allow=allow)
    assert is_allowed("64:ff9b:1:801:c0:a801:500:0", port=80, policy=policy, allow=allow)


def test_a_port_without_tls_is_told_in_words():
    async def plain(_request):
        return web.Response()

    async def main():
        async with serving(plain) as base, session(Policy.MONITOR) as client:
            rules = Rules(60, 10)
            target = probe.Target(1, 1, base.replace("http:", "https:"), rules, 20)
            return await probe.probe(client, target, at=NOW)

    result = asyncio.run(main())

    assert result.failure == "tls"
    assert result.detail == "The server does not speak TLS on this port"


def test_a_body_goes_to_no_other_place():
    bodies = []

    async def elsewhere(request):
        bodies.append(await request.read())
        return web.Response()

    async def main():
        async with serving(elsewhere) as other:

            async def moved(_request):
                return web.Response(status=307, headers={"Location": other})

            async with serving(moved) as base, session(Policy.MONITOR) as client:
                asked = OutgoingRequest(base, method="POST", body=b"secret", max_redirects=1)
                with pytest.raises(InvalidTargetError, match="body on to another place"):
                    await fetch(client, asked)

    asyncio.run(main())

    assert bodies == []
