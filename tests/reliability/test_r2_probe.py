import asyncio
from datetime import UTC, datetime

import pytest
from aiohttp import web

from core.http import Policy, session
from reliability.engine.probe import Failure, Target, parse_accept, probe
from reliability.engine.strikes import Rules
from tests.support.servers import serving, serving_raw, unused_port

AT = datetime(2026, 1, 1, tzinfo=UTC)


def target(url, *, timeout_seconds=2, **options):
    rules = Rules(interval_seconds=60, timeout_seconds=timeout_seconds)
    return Target(check_id=1, config_version=1, url=url, rules=rules, retry_seconds=20, **options)


def check(handler, **options):
    """Serve the handler and probe it once."""

    async def scenario():
        async with serving(handler) as base, session(Policy.MONITOR) as client:
            return await probe(client, target(base, **options), at=AT)

    return asyncio.run(scenario())


def check_url(url):
    async def scenario():
        async with session(Policy.MONITOR) as client:
            return await probe(client, target(url), at=AT)

    return asyncio.run(scenario())


def answering(status=200, text="hello", headers=None):
    async def answer(request):
        return web.Response(status=status, text=text, headers=headers)

    return answer


def test_a_good_answer_keeps_no_body():
    result = check(answering())

    assert (result.ok, result.status_code, result.failure, result.excerpt) == (True, 200, None, "")
    assert (result.check_id, result.at) == (1, AT)
    assert result.latency_ms == result.phases.total_ms > 0


def test_an_unexpected_status_fails_with_a_short_excerpt():
    result = check(answering(503, "x" * 10_000))

    assert (result.ok, result.status_code, result.failure) == (False, 503, Failure.STATUS)
    assert result.detail == "HTTP 503 Service Unavailable"
    assert result.excerpt == "x" * 8192


def test_the_words_of_the_server_do_not_stand_beside_its_status():
    async def answer(request):
        return web.Response(status=503, reason="requirepass hunter22")

    assert check(answer).detail == "HTTP 503 Service Unavailable"


def test_a_status_without_a_standard_name_stands_alone():
    assert check(answering(599)).detail == "HTTP 599"


def test_what_answers_in_another_protocol_is_kept_for_those_who_may_read_answers():
    async def greet(reader, writer):
        writer.write(b"SSH-2.0-hunter22\r\n")
        await writer.drain()

    async def scenario():
        async with serving_raw(greet) as base, session(Policy.MONITOR) as client:
            return await probe(client, target(base), at=AT)

    result = asyncio.run(scenario())

    assert result.detail == "The server does not speak HTTP, or its headers are too large."
    assert "SSH-2.0-hunter22" in result.excerpt


@pytest.mark.parametrize(("accept", "ok"), [("200-399", False), ("200,404", True)])
def test_the_accepted_statuses_are_the_rule(accept, ok):
    assert check(answering(404), accept=parse_accept(accept)).ok is ok


@pytest.mark.parametrize(("text", "ok"), [("ell", True), ("Ell", False)])
def test_an_expected_text_must_be_in_the_body(text, ok):
    result = check(answering(), body_contains=text)

    assert (result.ok, result.failure) == (ok, None if ok else Failure.BODY)


def test_an_expected_text_beyond_the_limit_is_said_to_be_so():
    result = check(answering(text="x" * 300_000 + "end"), body_contains="end")

    assert result.detail == "The expected text is not in the first 262144 bytes."


def test_headers_and_method_are_sent():
    seen = {}

    async def answer(request):
        seen["method"], seen["key"] = request.method, request.headers.get("X-Key")
        return web.Response()

    check(answer, method="HEAD", headers={"X-Key": "1"})

    assert seen == {"method": "HEAD", "key": "1"}


def test_a_redirect_is_followed_or_judged_as_it_is():
    async def answer(request):
        if request.path == "/":
            return web.Response(status=302, headers={"Location": "/broken"})
        return web.Response(status=500)

    assert check(answer).status_code == 500
    assert check(answer, follow_redirects=False).status_code == 302


def test_a_redirect_to_a_metadata_address_is_a_refused_result():
    result = check(answering(302, headers={"Location": "http://169.254.169.254/latest/"}))

    assert (result.ok, result.failure, result.status_code) == (False, Failure.REFUSED, None)
    assert "OPS_OUTGOING_ALLOW" in result.detail


@pytest.mark.parametrize(
    ("url", "failure"),
    [
        ("http://does-not-exist.invalid/", Failure.DNS),
        (f"http://127.0.0.1:{unused_port()}/", Failure.CONNECT),
        ("http://169.254.169.254/", Failure.REFUSED),
        ("http://2852039166/", Failure.REFUSED),
        ("file:///etc/passwd", Failure.REFUSED),
    ],
)
def test_what_goes_wrong_is_classified(url, failure):
    result = check_url(url)

    assert (result.ok, result.failure) == (False, failure)
    assert result.detail


def test_silence_is_a_timeout():
    async def hang(request):
        await asyncio.sleep(60)

    result = check(hang, timeout_seconds=0.2)

    assert (result.failure, result.detail) == (Failure.TIMEOUT, "No answer within 0.2 s.")
    assert result.latency_ms >= 190  # timers may be a little early


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("200-399", ((200, 399),)),
        (" 200, 204 ,301-302", ((200, 200), (204, 204), (301, 302))),
    ],
)
def test_accepted_statuses_are_read(text, ranges):
    assert parse_accept(text) == ranges


@pytest.mark.parametrize("text", ["", "2xx", "99", "600", "399-200", "200,", "200-", "-200", "٢٠٠"])
def test_accepted_statuses_that_cannot_be_read_are_named(text):
    with pytest.raises(ValueError, match="no status code"):
        parse_accept(text)
