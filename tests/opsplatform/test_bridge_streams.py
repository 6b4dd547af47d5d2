"""Answers cross from the thread to the loop whole, or block by block as the client takes them."""

from __future__ import annotations

import asyncio
import threading
from wsgiref.validate import validator

import pytest
from django.core import signals

from opsplatform.bridge.exchange import Exchange
from opsplatform.bridge.types import ClientGoneError
from tests.support.asgi import ask, make_bridge, scope


class Stream:
    """An iterable answer that remembers which threads touched it."""

    def __init__(self, blocks):
        self._blocks = iter(blocks)
        self.given = 0
        self.threads = []
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.threads.append(threading.get_ident())
        block = next(self._blocks)
        self.given += 1
        return block

    def close(self):
        """End the answer, as Django's response does."""
        self.threads.append(threading.get_ident())
        self.closed += 1


def serve(answer, *, status="200 OK", headers=()):
    """Return an application that answers so."""

    def application(environ, start_response):
        start_response(status, list(headers))
        return answer

    return application


@pytest.mark.parametrize("blocks", [[], [b"abc"], [b"a", b"", b"bc"]])
def test_a_list_crosses_once(blocks):
    answer = asyncio.run(ask(make_bridge(serve(blocks))))

    assert (answer.blocks, answer.complete) == ([b"".join(blocks)], True)


def test_status_and_headers_arrive():
    headers = [("X-One", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]

    answer = asyncio.run(ask(make_bridge(serve([], status="418 Teapot", headers=headers))))

    assert (answer.status, answer.headers) == (
        418,
        [(b"x-one", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")],
    )


def test_a_stream_arrives_block_by_block():
    stream = Stream([b"a", b"", b"bc"])

    answer = asyncio.run(ask(make_bridge(serve(stream))))

    assert (answer.blocks, answer.complete) == ([b"a", b"bc", b""], True)
    assert (stream.closed, len(set(stream.threads))) == (1, 1)
    assert stream.threads[0] != threading.get_ident()


def test_an_empty_stream_is_a_whole_answer():
    answer = asyncio.run(ask(make_bridge(serve(Stream([])))))

    assert (answer.status, answer.blocks, answer.complete) == (200, [b""], True)


def test_a_slow_client_holds_the_stream_back():
    stream = Stream([b"x"] * 50)
    ahead = []

    async def take(block):
        await asyncio.sleep(0.002)
        ahead.append(stream.given)

    asyncio.run(ask(make_bridge(serve(stream)), on_block=take))

    assert ahead == list(range(1, 51))


def test_a_client_that_leaves_ends_the_stream():
    left = asyncio.Event()
    stream = Stream(b"x" for _ in range(100_000))

    async def take(block):
        left.set()
        await asyncio.sleep(0.005)

    answer = asyncio.run(ask(make_bridge(serve(stream)), leave=left, on_block=take))

    assert not answer.complete
    assert stream.given < 1_000
    assert stream.closed == 1


def test_a_client_that_takes_nothing_is_given_up():
    async def run():
        async def never(message):
            if message["type"] == "http.response.body":
                await asyncio.sleep(60)

        bridge = make_bridge(None, threads=1)
        await bridge.pool.enter()
        exchange = Exchange(serve(stream), never, pool=bridge.pool, stall_seconds=0.05)
        bridge.pool.run(lambda: exchange.work({"wsgi.input": Stream([])}))
        await exchange.done

    stream = Stream([b"a", b"b"])

    with pytest.raises(ClientGoneError):
        asyncio.run(run())
    assert (stream.given, stream.closed) == (1, 1)


def test_a_stream_that_fails_is_cut_not_ended():
    def blocks():
        yield b"a"
        raise ZeroDivisionError

    stream = Stream(blocks())
    answers = []

    async def run():
        async def keep(block):
            answers.append(block)

        await ask(make_bridge(serve(stream)), on_block=keep)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())
    assert (answers, stream.closed) == ([b"a"], 1)


def test_a_failure_before_the_first_block_is_answered(caplog):
    def application(environ, start_response):
        start_response("200 OK", [])
        message = "secret"
        raise ValueError(message)

    request = scope(headers=[(b"x-request-id", b"my-request")])

    answer = asyncio.run(ask(make_bridge(application), request))

    assert answer.status == 500
    assert b"secret" not in answer.body
    assert b"my-request" in answer.body
    assert [(r.levelname, r.exc_info[0]) for r in caplog.records if r.exc_info] == [
        ("ERROR", ValueError)
    ]


def test_an_application_that_starts_no_answer_fails():
    def application(environ, start_response):
        return [b"x"]

    assert asyncio.run(ask(make_bridge(application))).status == 500


def test_starting_twice_fails():
    def application(environ, start_response):
        start_response("200 OK", [])
        start_response("201 Created", [])
        return []

    assert asyncio.run(ask(make_bridge(application))).status == 500


def test_an_error_may_replace_an_answer_that_was_not_sent():
    def application(environ, start_response):
        start_response("200 OK", [])
        start_response("502 Bad Gateway", [], (ValueError, ValueError(), None))
        return [b"x"]

    assert asyncio.run(ask(make_bridge(application))).status == 502


def test_an_error_after_the_first_block_is_raised_again():
    def application(environ, start_response):
        write = start_response("200 OK", [])
        write(b"a")
        start_response("500 No", [], (KeyError, KeyError("late"), None))
        return []

    with pytest.raises(KeyError, match="late"):
        asyncio.run(ask(make_bridge(application)))


def test_the_old_write_function_works():
    @validator
    def application(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"written ")
        return [b"returned"]

    answer = asyncio.run(ask(make_bridge(application), scope()))

    assert (answer.body, answer.complete) == (b"written returned", True)


def test_files_are_read_in_large_blocks(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 150_000)

    def application(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](path.open("rb"), 4_096)

    answer = asyncio.run(ask(make_bridge(application)))

    assert [len(block) for block in answer.blocks] == [65_536, 65_536, 18_928, 0]


def test_django_begins_and_ends_a_request_in_the_same_thread():
    from opsplatform.wsgi import application

    heard = []
    request = scope(path="/api/none", headers=[(b"host", b"localhost")])

    def hear(signal, **_):
        heard.append((signal, threading.get_ident()))

    for signal in (signals.request_started, signals.request_finished):
        signal.connect(hear)
    try:
        answer = asyncio.run(ask(make_bridge(application), request))
    finally:
        for signal in (signals.request_started, signals.request_finished):
            signal.disconnect(hear)

    assert answer.status == 404
    assert [signal for signal, _ in heard] == [signals.request_started, signals.request_finished]
    assert len({thread for _, thread in heard}) == 1
