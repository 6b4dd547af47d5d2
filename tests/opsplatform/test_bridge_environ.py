"""What a WSGI application sees of an ASGI request."""

from __future__ import annotations

import asyncio
import json
from wsgiref.validate import validator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsplatform.bridge.environ import build_environ, declared_length, read_headers
from opsplatform.bridge.types import RefusedError
from tests.support.asgi import ask, make_bridge, scope


def seen(request, *parts):
    """Return the environment that an application gets."""
    caught = {}

    def application(environ, start_response):
        caught.update(environ, body=environ["wsgi.input"].read())
        start_response("204 No Content", [])
        return []

    assert asyncio.run(ask(make_bridge(application), request, *parts)).status == 204
    return caught


def test_the_request_line_and_addresses():
    environ = seen(scope("PATCH", "/a%20b/%C3%BC%FF?x=1&y=%20"))

    assert {
        name: environ[name]
        for name in (
            "REQUEST_METHOD",
            "SCRIPT_NAME",
            "PATH_INFO",
            "QUERY_STRING",
            "REMOTE_ADDR",
            "SERVER_NAME",
            "SERVER_PORT",
            "SERVER_PROTOCOL",
            "wsgi.url_scheme",
        )
    } == {
        "REQUEST_METHOD": "PATCH",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/\xc3\xbc\xff",
        "QUERY_STRING": "x=1&y=%20",
        "REMOTE_ADDR": "192.0.2.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
    }


def test_without_a_raw_path_the_decoded_one_serves():
    request = scope()
    del request["raw_path"]
    request["path"] = "/ü"

    assert seen(request)["PATH_INFO"] == "/\xc3\xbc"


def test_a_unix_socket_has_no_addresses():
    request = scope() | {"client": None, "server": ("/run/web.sock", None)}

    environ = seen(request)

    assert (environ["REMOTE_ADDR"], environ["SERVER_PORT"]) == ("", "0")


def test_a_chunked_body_has_a_length():
    environ = seen(scope("POST", headers=[(b"transfer-encoding", b"chunked")]), b"ab", b"", b"cde")

    assert (environ["CONTENT_LENGTH"], environ["body"]) == ("5", b"abcde")
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_without_length_and_chunks_there_is_no_body():
    environ = seen(scope("GET"), b"not a part of this request")

    assert (environ["CONTENT_LENGTH"], environ["body"]) == ("0", b"")


def test_content_type_and_length_have_no_prefix():
    headers = [(b"Content-Type", b"text/plain"), (b"Content-Length", b"3")]

    environ = seen(scope("POST", headers=headers), b"abc")

    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("text/plain", "3")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & environ.keys()


def test_names_with_an_underscore_are_dropped():
    headers = [(b"X_Api_Key", b"forged"), (b"content_length", b"9"), (b"x-api-key", b"real")]

    environ = seen(scope(headers=headers))

    assert (environ["HTTP_X_API_KEY"], environ["CONTENT_LENGTH"]) == ("real", "0")


def test_repeated_headers_are_joined():
    headers = [(b"x-a", b"1"), (b"cookie", b"a=1"), (b"X-A", b" 2 "), (b"Cookie", b"b=2")]

    environ = seen(scope(headers=headers))

    assert (environ["HTTP_X_A"], environ["HTTP_COOKIE"]) == ("1,2", "a=1; b=2")


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"1"), (b"content-length", b"2")],
        [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"-1")],
        [(b"content-length", b"1,1")],
        [(b"content-length", b"")],
        [(b"content-length", "²".encode("latin-1"))],
        [(b"content-length", b"5")],
        [(b"host", b"a"), (b"host", b"b")],
    ],
)
def test_contradictions_are_refused(headers):
    def application(environ, start_response):
        pytest.fail("The request must not be served.")

    answer = asyncio.run(ask(make_bridge(application), scope("POST", headers=headers), b"x"))

    assert (answer.status, answer.header("connection")) == (400, "close")


def test_the_same_length_twice_is_one_length():
    headers = [(b"content-length", b"1"), (b"content-length", b"1")]

    assert seen(scope("POST", headers=headers), b"x")["CONTENT_LENGTH"] == "1"


@pytest.mark.parametrize(("size", "status"), [(65_536 - 8, 200), (65_536 - 7, 431)])
def test_headers_have_a_limit(size, status):
    def application(environ, start_response):
        start_response("200 OK", [])
        return []

    request = scope(headers=[(b"host", b""), (b"x-aa", b"v" * (size - 8))])

    assert asyncio.run(ask(make_bridge(application), request)).status == status


def test_what_the_bridge_refuses_is_a_problem_with_headers():
    request = scope("POST", "/x", [(b"content-length", b"a"), (b"x-request-id", b"my-request")])

    answer = asyncio.run(ask(make_bridge(None), request))

    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("x-security") == "yes"
    assert answer.header("x-request-id") == "my-request"
    assert answer.header("cache-control") == "no-store"
    assert json.loads(answer.body) == {
        "type": "urn:opsplatform:problem:400",
        "title": "Bad Request",
        "status": 400,
        "detail": "Content-Length is not a number.",
        "request_id": "my-request",
    }


def test_a_refused_head_request_has_no_body():
    request = scope("HEAD", headers=[(b"content-length", b"a")])

    assert asyncio.run(ask(make_bridge(None), request)).body == b""


TOKENS = st.text("abcXYZ09-_!~", min_size=1, max_size=12).map(str.encode)
VALUES = st.binary(max_size=20).filter(lambda value: not set(value) & {0, 10, 13})


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    headers=st.lists(st.tuples(TOKENS, VALUES), max_size=8),
    parts=st.lists(st.binary(max_size=50), min_size=1, max_size=6),
    path=st.text(st.characters(codec="ascii", exclude_characters="?#"), max_size=10),
)
def test_every_request_is_valid_wsgi(method, headers, parts, path):
    @validator
    def application(environ, start_response):
        read = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [read]

    request = scope(method, f"/{path}", [*headers, (b"transfer-encoding", b"chunked")])
    answer = asyncio.run(ask(make_bridge(application), request, *parts))

    assert (answer.status, answer.body, answer.complete) == (200, b"".join(parts), True)


@settings(max_examples=200, deadline=None)
@given(headers=st.lists(st.tuples(TOKENS, VALUES), max_size=12))
def test_every_header_without_underscore_arrives(headers):
    fields = read_headers(headers)

    expected: dict[str, list[str]] = {}
    for name, value in headers:
        text = name.decode().lower()
        if "_" not in text:
            expected.setdefault(text.replace("-", "_").upper(), []).append(
                value.decode("latin-1").strip()
            )
    assert fields == {f"HTTP_{name}": ",".join(values) for name, values in expected.items()}


@given(value=st.from_regex(r"[0-9]{1,20}", fullmatch=True))
def test_a_length_is_a_number(value):
    assert declared_length({"CONTENT_LENGTH": value}) == int(value)


@given(value=st.text(max_size=8).filter(lambda value: not (value.isascii() and value.isdigit())))
def test_anything_else_is_no_length(value):
    with pytest.raises(RefusedError) as caught:
        declared_length({"CONTENT_LENGTH": value})

    assert caught.value.status == 400


def test_the_client_can_be_asked_after():
    environ = build_environ(scope(), {}, body=None, length=0, client_gone=lambda: True)

    assert environ["opsplatform.client_gone"]() is True
