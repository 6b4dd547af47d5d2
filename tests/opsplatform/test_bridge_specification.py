"""Whatever an application does within PEP 3333, the bridge keeps the server's half of it."""

from __future__ import annotations

import asyncio
import http.client
import socket
import sys
from dataclasses import dataclass, field
from wsgiref.validate import WSGIWarning, validator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.asgi import ask, make_bridge, scope, served

pytestmark = pytest.mark.filterwarnings(f"ignore::{WSGIWarning.__module__}.WSGIWarning")

TEXT = ("Content-Type", "text/plain")
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
BLOCKS = st.lists(st.binary(max_size=40), max_size=6)
NAMES = st.from_regex(r"X-[A-Za-z][A-Za-z0-9-]{0,8}[a-z]", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.strip)


class FaultError(Exception):
    """What an application of these tests raises."""


@dataclass
class Answered:
    """An answer that counts how often it was closed, and may fail at a block or when it closes."""

    blocks: list[bytes]
    fails_at: int | None = None
    fails_closing: bool = False
    closed: int = 0
    given: int = field(default=0)

    def __iter__(self):
        return self

    def __next__(self):
        if self.given == self.fails_at:
            raise FaultError
        if self.given == len(self.blocks):
            raise StopIteration
        self.given += 1
        return self.blocks[self.given - 1]

    def close(self):
        """Count."""
        self.closed += 1
        if self.fails_closing:
            raise FaultError


def read_body(environ, style):
    """Read the input in one of the ways that the specification offers."""
    source = environ["wsgi.input"]
    match style:
        case "at once":
            return source.read(int(environ["CONTENT_LENGTH"]))
        case "by bytes":
            return b"".join(iter(lambda: source.read(1), b""))
        case "by lines":
            return b"".join(iter(source.readline, b""))
        case "as lines":
            return b"".join(source.readlines())
        case _:
            return b"".join(source)


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(METHODS),
    parts=st.lists(st.binary(max_size=60) | st.just(b"line\n"), min_size=1, max_size=8),
    style=st.sampled_from(["at once", "by bytes", "by lines", "as lines", "iterated"]),
    status=st.sampled_from(["200 OK", "201 Created", "404 Not Found", "418 I'm a teapot", "599 X"]),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=5),
    written=BLOCKS,
    blocks=BLOCKS,
)
def test_what_goes_in_and_out_is_what_was_sent(
    method, parts, style, status, headers, written, blocks
):
    answered = Answered(blocks)
    seen = []

    @validator
    def application(environ, start_response):
        seen.append((environ["REQUEST_METHOD"], read_body(environ, style)))
        write = start_response(status, [TEXT, *headers])
        for block in written:
            write(block)
        return answered

    request = scope(method, headers=[(b"transfer-encoding", b"chunked")])
    answer = asyncio.run(ask(make_bridge(application), request, *parts))

    assert seen == [(method, b"".join(parts))]
    assert answer.status == int(status[:3])
    assert answer.headers == [
        (name.lower().encode(), value.encode()) for name, value in [TEXT, *headers]
    ]
    assert (answer.body, answer.complete) == (b"".join([*written, *blocks]), True)
    assert answered.closed == 1


@settings(max_examples=40, deadline=None)
@given(body=st.binary(max_size=300))
def test_a_body_byte_by_byte_is_one_body(body):
    @validator
    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        return [environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))]

    parts = [body[index : index + 1] for index in range(len(body))]
    answer = asyncio.run(ask(make_bridge(application), scope("POST"), *parts))

    assert answer.body == body


@settings(max_examples=120, deadline=None)
@given(
    written=BLOCKS,
    blocks=BLOCKS,
    when=st.sampled_from(["before start", "after start", "iterating", "closing"]),
    at=st.integers(0, 6),
)
def test_a_fault_is_a_500_before_the_first_byte_and_a_cut_after_it(written, blocks, when, at):
    at = min(at, len(blocks))
    closing = when == "closing"
    answered = Answered(blocks, fails_at=at if when == "iterating" else None, fails_closing=closing)

    @validator
    def application(environ, start_response):
        if when == "before start":
            raise FaultError
        write = start_response("200 OK", [TEXT])
        for block in written:
            write(block)
        if when == "after start":
            raise FaultError
        return answered

    told = [] if when == "before start" else [*written]
    told += {"iterating": blocks[:at], "closing": blocks}.get(when, [])
    seen = []

    async def keep(block):
        seen.append(block)

    async def run():
        return await ask(make_bridge(application), scope(), on_block=keep)

    if any(told):
        with pytest.raises(FaultError):
            asyncio.run(run())
        assert b"".join(seen) == b"".join(told)
    else:
        answer = asyncio.run(run())
        assert (answer.status, answer.complete) == (500, True)
        assert answer.header("content-type") == "application/problem+json"
    assert answered.closed == (when in {"iterating", "closing"})


@settings(max_examples=60, deadline=None)
@given(written=BLOCKS, instead=BLOCKS)
def test_an_error_replaces_the_answer_exactly_while_nothing_was_sent(written, instead):
    @validator
    def application(environ, start_response):
        write = start_response("200 OK", [TEXT])
        try:
            for block in written:
                write(block)
            raise FaultError  # noqa: TRY301  # as an application does
        except FaultError:
            start_response("502 Bad Gateway", [TEXT, ("X-Error", "yes")], sys.exc_info())
            return Answered(instead)

    async def run():
        return await ask(make_bridge(application), scope())

    if any(written):
        with pytest.raises(FaultError):
            asyncio.run(run())
    else:
        answer = asyncio.run(run())
        assert (answer.status, answer.header("x-error")) == (502, "yes")
        assert answer.body == b"".join(instead)


@settings(max_examples=40, deadline=None)
@given(
    blocks=st.lists(st.binary(min_size=1, max_size=9), min_size=2, max_size=9), at=st.integers(0)
)
def test_an_answer_is_closed_once_when_its_client_leaves(blocks, at):
    answered = Answered(blocks)
    at %= len(blocks)

    @validator
    def application(environ, start_response):
        start_response("200 OK", [TEXT])
        return answered

    async def run():
        async def take(block):
            if answered.given > at:
                # The server closes its side of a connection that was lost in this way.
                raise ConnectionResetError

        bridge = make_bridge(application)
        with pytest.raises(ConnectionResetError):
            await ask(bridge, scope(), on_block=take)
        return await ask(bridge, scope("POST"), b"x")

    asyncio.run(run())
    assert answered.closed == 2


def test_an_application_may_start_its_answer_with_the_first_block():
    def application(environ, start_response):
        start_response("202 Accepted", [TEXT])
        yield b"late"

    answer = asyncio.run(ask(make_bridge(validator(application))))

    assert (answer.status, answer.body) == (202, b"late")


def test_a_block_before_the_answer_was_started_is_a_fault():
    def application(environ, start_response):
        yield b"too early"

    answer = asyncio.run(ask(make_bridge(application)))

    assert (answer.status, answer.complete) == (500, True)


@pytest.mark.parametrize("status", ["100 Continue", "103 Early Hints", "099 No", "20 Short"])
def test_an_answer_that_is_none_is_a_fault(status):
    def application(environ, start_response):
        start_response(status, [])
        return []

    assert asyncio.run(ask(make_bridge(application))).status == 500


@pytest.mark.parametrize("head", [("X-One", "\u20ac"), ("X-One", "a\r\nX-Two: b"), ("X Y", "z")])
def test_headers_that_cannot_be_sent_are_a_fault(head):
    def application(environ, start_response):
        start_response("200 OK", [head])
        return [b"x"]

    with served(make_bridge(application)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()

    assert (answer.status, answer.getheader("X-Two")) == (500, None)
    assert b"unexpected error" in body


CALLS = st.tuples(
    st.sampled_from(["GET", "HEAD", "POST", "DELETE"]),
    st.sampled_from([200, 204, 304, 404]),
    st.lists(st.binary(max_size=30), max_size=4),
    st.sampled_from(["list", "stream", "length"]),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calls=st.lists(CALLS, min_size=1, max_size=8))
def test_every_answer_ends_where_the_next_begins(keep_alive, calls):
    connection, answers = keep_alive
    for method, status, blocks, kind in calls:
        answers.append((status, blocks, kind))
        connection.request(method, "/", body=b"sent" if method == "POST" else None)
        answer = connection.getresponse()
        whole = b"".join(blocks)
        bare = method == "HEAD" or status in {204, 304}
        assert (answer.status, answer.read()) == (status, b"" if bare else whole)
        if status == 204:
            assert answer.getheader("Content-Length") is None
            assert answer.getheader("Transfer-Encoding") is None


@pytest.fixture
def keep_alive():
    """Return one connection to a server, and the list of what it shall answer."""
    answers = []

    def application(environ, start_response):
        status, blocks, kind = answers.pop()
        headers = [] if status in {204, 304} else [TEXT]
        if kind == "length":
            headers.append(("Content-Length", str(sum(map(len, blocks)))))
        start_response(f"{status} X", headers)
        return list(blocks) if kind == "list" else Answered(blocks)

    with served(make_bridge(validator(application))) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        yield connection, answers
        connection.close()


@pytest.mark.parametrize(
    "line", [b"OPTIONS * HTTP/1.1", b"GET http://x/path HTTP/1.1", b"GET //a HTTP/1.1"]
)
def test_every_form_of_a_target_is_a_path(line):
    seen = []

    @validator
    def application(environ, start_response):
        seen.append(environ["PATH_INFO"])
        start_response("200 OK", [TEXT])
        return [b""]

    with (
        served(make_bridge(application)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
    ):
        connection.sendall(line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200 ")
    assert seen == [{b"O": "/*", b"G": "/path"}.get(line[:1]) if b"//a" not in line else "//a"]


def test_an_upload_that_breaks_off_reaches_no_application():
    called = []

    def application(environ, start_response):
        called.append(environ["REQUEST_METHOD"])
        start_response("200 OK", [TEXT])
        return []

    with served(make_bridge(application, threads=1)) as port:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\nabc")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()

    assert called == ["GET"]
