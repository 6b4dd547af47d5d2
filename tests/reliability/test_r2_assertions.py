"""Conditions on answers."""

import asyncio

import pytest
from aiohttp import web

from reliability.engine.assertions import (
    Answer,
    Assertion,
    from_lines,
    parse,
    resolve_pointer,
    to_lines,
    unmet,
)
from reliability.engine.probe import Failure
from tests.reliability.test_r2_probe import check

# The examples of RFC 6901, section 5.
DOCUMENT = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_a_pointer_leads_where_the_rfc_says(pointer, value):
    assert resolve_pointer(DOCUMENT, pointer) == value


@pytest.mark.parametrize("pointer", ["/foo/2", "/foo/-", "/foo/01", "/foo/x", "/bar", "/foo/0/x"])
def test_a_pointer_that_leads_nowhere_is_missing(pointer):
    with pytest.raises(LookupError):
        resolve_pointer(DOCUMENT, pointer)


BODY = b'{"state": "ok", "count": 3, "yes": true, "none": null, "list": [1, "two"], "f": 1e400}'


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("body contains state", True),
        ("body contains STATE", False),
        ("body not_contains error", True),
        ("body not_contains state", False),
        ("body exists", True),
        ('json /state equals "ok"', True),
        ("json /state equals ok", True),
        ("json /count equals 3", True),
        ("json /count equals 3.0", True),
        ("json /count equals true", False),
        ("json /yes equals 1", False),
        ("json /yes equals true", True),
        ("json /none exists", True),
        ("json /gone exists", False),
        ("json /gone not_equals 1", True),
        ("json /gone equals null", False),
        ("json /none equals null", True),
        ("json /list contains two", True),
        ("json /list contains 2", False),
        ("json contains state", True),
        ("json /count less 4", True),
        ("json /count less 3", False),
        ("json /count greater 2.5", True),
        ("json /state greater 1", False),
        ("header X-Count equals 5", True),
        ("header x-count greater 4", True),
        ("header X-Gone exists", False),
        ("latency_ms less 100", True),
        ("latency_ms greater 100", False),
    ],
)
def test_a_condition_holds_or_does_not(line, holds):
    from multidict import CIMultiDict

    answer = Answer(BODY.replace(b"1e400", b"1"), CIMultiDict({"X-Count": "5"}), 12.5)
    assertions = parse(from_lines(line))

    assert (unmet(assertions, answer) == "") is holds


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("json /a", "Line 1: A comparison is one of"),
        ("cookie exists", "Line 1: A source is one of"),
        ("json a equals 1", "Line 1: A JSON pointer is empty or begins with a slash"),
        ("header exists", "Line 1: A condition on a header names it"),
        ("latency_ms equals 5", "Line 1: A latency is compared by less or greater."),
        ("latency_ms less soon", "Line 1: The comparison less needs a number"),
        ("body contains", "Line 1: The comparison contains needs a"),
        ("body equals 5", "Line 1: A condition on the body compares with a text."),
        ("body exists\nbody contains " + "x" * 1001, "Line 2: A value has at most"),
    ],
)
def test_what_could_never_be_judged_is_refused_in_words(line, words):
    with pytest.raises(ValueError, match="Line") as refused:
        from_lines(line)
    assert str(refused.value).startswith(words)


def test_lines_are_read_back_as_they_were_written():
    lines = 'json /a~1b equals "x y"\nheader X contains "1"\nbody exists\nlatency_ms less 5'

    assert to_lines(from_lines(lines)) == lines


def test_the_words_quote_the_condition_and_nothing_of_the_answer():
    answer = Answer(b'{"token": "hunter22"}', {}, 1)

    told = unmet([Assertion("json", "equals", "/token", "x")], answer)

    assert told == "The value at /token is not what is expected."
    not_json = Answer(b"hunter22", {}, 1)
    assert unmet([Assertion("json", "exists", "/a")], not_json) == "The answer is not JSON."


@pytest.mark.parametrize("body", [b"[" * 100_000, b"{", b"\xff", b"", b"NaN"])
def test_a_body_that_is_no_json_is_a_failed_condition(body):
    assert unmet([Assertion("json", "exists")], Answer(body, {}, 1)) == "The answer is not JSON."


def answering(body, **options):
    async def answer(_request):
        return web.Response(body=body, **options)

    return answer


def test_a_probe_fails_by_its_first_condition_that_does_not_hold():
    conditions = parse(from_lines('json /state equals "up"'))

    good = check(answering(b'{"state": "up"}'), assertions=conditions)
    bad = check(answering(b'{"state": "hunter22"}'), assertions=conditions)

    assert (good.ok, good.failure) == (True, None)
    assert (bad.failure, bad.detail) == (
        Failure.ASSERTION,
        "The value at /state is not what is expected.",
    )


def test_a_million_lines_are_read_up_to_the_limit():
    body = b"a line of the log\n" * 1_000_000

    result = check(answering(body), body_contains="the end", timeout_seconds=20)

    assert (result.ok, result.failure) == (False, Failure.BODY)
    assert result.detail == "The expected text is not in the first 262144 bytes."
    conditions = parse(from_lines("json exists"))
    assert check(answering(body), assertions=conditions, timeout_seconds=20).detail == (
        "The answer is longer than 262144 bytes: too long for JSON."
    )


def test_a_redirect_without_end_fails_after_the_third():
    async def round_and_round(request):
        return web.Response(status=302, headers={"Location": f"{request.path}x"})

    result = check(round_and_round)

    assert (result.failure, result.detail) == (Failure.PROTOCOL, "More than 3 redirects.")


def test_headers_without_end_end_with_the_timeout_or_the_limit():
    from tests.support.servers import serving_raw

    async def drip(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(100_000):
            writer.write(f"X-{number}: {'y' * 100}\r\n".encode())
            await writer.drain()

    async def scenario():
        from core.http import Policy, session
        from reliability.engine.probe import probe
        from tests.reliability.test_r2_probe import AT, target

        async with serving_raw(drip) as base, session(Policy.MONITOR) as client:
            return await probe(client, target(base, timeout_seconds=20), at=AT)

    assert asyncio.run(scenario()).failure is Failure.PROTOCOL


def test_a_body_is_sent():
    seen = []

    async def answer(request):
        seen.append((request.method, await request.text()))
        return web.Response()

    check(answer, method="POST", body='{"ping": 1}')

    assert seen == [("POST", '{"ping": 1}')]
