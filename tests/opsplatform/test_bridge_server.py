"""The bridge behind a real uvicorn, and clients that misbehave."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest

from opsplatform.bridge.protocol import GuardedProtocol, most_connections
from tests.support.asgi import make_bridge, served


class Impatient(GuardedProtocol):
    """The protocol with short limits."""

    head_seconds = 0.2


class Small(GuardedProtocol):
    """The protocol with room for two."""

    most_connections = 2
    complained_at = float("-inf")


def echo(environ, start_response):
    """Answer with what was sent."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@contextlib.contextmanager
def connected(port):
    """Give a raw connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def read_all(connection):
    """Return what comes until the server closes."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def request(port, method="GET", path="/", body=None, **options):
    """Make one request and return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, **options)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_a_megabyte_of_json_arrives():
    body = json.dumps({"text": "x" * 1_048_576}).encode()

    with served(make_bridge(echo)) as port:
        assert request(port, "POST", body=body)[::2] == (200, body)


def test_a_chunked_body_arrives():
    with served(make_bridge(echo)) as port:
        answer = request(
            port,
            "POST",
            body=iter([b"a" * 70_000, b"b" * 70_000]),
            encode_chunked=True,
            headers={"Transfer-Encoding": "chunked"},
        )

    assert answer[::2] == (200, b"a" * 70_000 + b"b" * 70_000)


def test_a_client_that_sends_too_much_reads_why():
    with served(make_bridge(echo, limit=100_000)) as port:
        status, headers, body = request(port, "POST", body=b"x" * 5_000_000)

    assert (status, headers["connection"], headers["x-security"]) == (413, "close", "yes")
    assert json.loads(body)["detail"] == "The body is larger than 100000 bytes."


def test_who_asks_before_sending_too_much_need_not_send_it():
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9999\r\n\r\n"

    with served(make_bridge(echo, limit=10)) as port, connected(port) as connection:
        connection.sendall(head)
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_two_lengths_are_refused():
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"

    with served(make_bridge(echo)) as port, connected(port) as connection:
        connection.sendall(head)
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"content-security-policy: default-src 'none'" in answer


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"CONNECT x\r\n\r\n"])
def test_what_is_no_http_is_refused(garbage):
    with served(make_bridge(echo)) as port, connected(port) as connection:
        connection.sendall(garbage)
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


def test_headers_without_end_are_refused():
    with served(make_bridge(echo)) as port, connected(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Endless: " + b"y" * 65_536)
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"content-security-policy: default-src 'none'" in answer


def test_complete_headers_that_are_too_large_are_refused():
    with served(make_bridge(echo)) as port:
        status, _, body = request(port, headers={"X-Large": "y" * 70_000})

    assert (status, json.loads(body)["status"]) == (431, 431)


def test_long_headers_after_others_are_counted_from_their_beginning():
    many = b"X-Many: " + b"y" * 8_000 + b"\r\n"
    head = b"GET / HTTP/1.1\r\nHost: x\r\n"

    with served(make_bridge(echo)) as port, connected(port) as connection:
        for _ in range(2):
            connection.sendall(head)
            for _ in range(7):
                time.sleep(0.01)
                connection.sendall(many)
            connection.sendall(b"\r\n")
            answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 200 ")


def test_headers_without_a_host_are_refused():
    with served(make_bridge(echo)) as port, connected(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


def test_old_http_needs_no_host():
    with served(make_bridge(echo)) as port, connected(port) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(1_024, 341), (1_048_576, 10_000), (-1, 10_000)]
)
def test_connections_take_a_third_of_the_descriptors(monkeypatch, descriptors, connections):
    monkeypatch.setattr("resource.getrlimit", lambda _: (descriptors, descriptors))

    assert most_connections() == connections


def test_connections_over_the_limit_are_refused_until_others_leave(caplog):
    with served(make_bridge(echo), Small) as port:
        with connected(port) as first, connected(port), connected(port) as third:
            refused = read_all(third)
            with connected(port) as fourth:
                refused_too = read_all(fourth)
            first.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            served_still = first.recv(1_000)
        time.sleep(0.05)
        answer = request(port)

    assert {refused[:13], refused_too[:13]} == {b"HTTP/1.1 503 "}
    assert b"content-security-policy: default-src 'none'" in refused
    assert (served_still[:13], answer[0]) == (b"HTTP/1.1 200 ", 200)
    logged = [record for record in caplog.records if record.name == "opsplatform.bridge.protocol"]
    assert [(record.levelname, record.limit) for record in logged] == [("WARNING", 2)]


def test_a_flood_of_requests_behind_an_answer_ends_it_in_silence(caplog):
    closed = threading.Event()

    def stream():
        try:
            for _ in range(1_000):
                time.sleep(0.02)
                yield b"x"
        finally:
            closed.set()

    def application(environ, start_response):
        start_response("200 OK", [])
        return stream()

    flood = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10 + b"GET / HTTP/1.1\r\nX: "

    with served(make_bridge(application)) as port, connected(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(1_000)
        with contextlib.suppress(OSError):
            connection.sendall(flood)
            for _ in range(10):
                connection.sendall(b"y" * 30_000)
                time.sleep(0.01)
            read_all(connection)
        assert closed.wait(10)

    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_slow_headers_are_refused():
    with served(make_bridge(echo), Impatient) as port, connected(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_says_nothing_is_closed():
    with served(make_bridge(echo), Impatient) as port, connected(port) as connection:
        assert read_all(connection) == b""


def test_a_long_view_outlives_the_limit_of_its_headers():
    def slow(environ, start_response):
        time.sleep(0.5)
        start_response("200 OK", [])
        return [b"done"]

    with served(make_bridge(slow), Impatient) as port:
        assert request(port)[::2] == (200, b"done")


def test_one_connection_serves_many_requests():
    with served(make_bridge(echo)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        bodies = []
        for number in range(5):
            connection.request("POST", "/", str(number))
            bodies.append(connection.getresponse().read())
        connection.close()

    assert bodies == [b"0", b"1", b"2", b"3", b"4"]


def test_requests_sent_at_once_are_answered_in_order():
    large = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n" + b"a" * 90_000
    last = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nb"

    with served(make_bridge(echo)) as port, connected(port) as connection:
        connection.sendall(large + last)
        answer = read_all(connection)

    first, second = answer.split(b"HTTP/1.1 200 OK")[1:]
    assert (first.count(b"a" * 90_000), second[-5:]) == (1, b"\r\n\r\nb")


def test_slow_senders_hold_no_thread():
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"

    with contextlib.ExitStack() as stack:
        port = stack.enter_context(served(make_bridge(echo, threads=1)))
        for _ in range(20):
            stack.enter_context(connected(port)).sendall(head)

        assert request(port, "POST", body=b"quick")[::2] == (200, b"quick")


def test_a_reader_that_leaves_ends_the_stream():
    closed = threading.Event()

    def stream():
        try:
            while True:
                yield b"x" * 65_536
        finally:
            closed.set()

    def application(environ, start_response):
        start_response("200 OK", [])
        return stream()

    with served(make_bridge(application)) as port:
        with connected(port) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.recv(1_000)
        assert closed.wait(10)


def test_a_slow_reader_fills_no_memory():
    given = []

    def stream():
        for number in range(1_000):
            given.append(number)
            yield b"x" * 65_536

    def application(environ, start_response):
        start_response("200 OK", [])
        return stream()

    with served(make_bridge(application)) as port, connected(port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(1_000)
        before = -1
        while len(given) != before:
            before = len(given)
            time.sleep(0.1)

        # What lies in the buffers of the kernel and of the server, out of 64 MB.
        assert len(given) < 500


def test_the_platform_answers_liveness_in_the_loop_and_refuses_sockets():
    from opsplatform.asgi import application

    upgrade = (
        b"GET /ws/notifications HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with served(application) as port:
        status, headers, body = request(port, path="/healthz")
        head = request(port, "HEAD", "/healthz")
        with connected(port) as connection:
            connection.sendall(upgrade)
            refused = read_all(connection)

    assert (status, body) == (200, b'{"status":"ok"}')
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (head[0], head[2]) == (200, b"")
    assert refused.startswith(b"HTTP/1.1 404 ")
