"""Bodies are read in the event loop, within limits of size and time."""

from __future__ import annotations

import asyncio
from io import BytesIO

import pytest

from opsplatform.bridge import body as body_module
from opsplatform.bridge.body import BodyLimits, read_beginning, read_body
from opsplatform.bridge.types import ClientGoneError, RefusedError
from tests.support.asgi import ask, make_bridge, scope


def echo(environ, start_response):
    """Answer with what was sent."""
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def sender(*parts):
    """Return a `receive` for the parts; a number among them is a pause, None a client that left."""
    waiting = list(parts)

    async def receive():
        if isinstance(waiting[0], float):
            await asyncio.sleep(waiting.pop(0))
        part = waiting.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    return receive


def read(*parts, limit=100, declared=None, **options):
    """Read a body and return it with the file."""

    async def run():
        file, length = await read_body(sender(*parts), limit=limit, declared=declared, **options)
        with file:
            return file.read(), length

    return asyncio.run(run())


@pytest.mark.parametrize("parts", [(b"",), (b"abc",), (b"a", b"", b"bc")])
def test_a_body_is_read_whole(parts):
    assert read(*parts) == (b"".join(parts), len(b"".join(parts)))


def test_a_body_of_its_limit_is_taken():
    assert read(b"x" * 100) == (b"x" * 100, 100)


@pytest.mark.parametrize(
    ("parts", "declared"), [([b"x" * 101], None), ([b"x" * 60, b"y" * 60], None), ([b"x"], 101)]
)
def test_a_body_over_its_limit_is_refused(parts, declared):
    with pytest.raises(RefusedError) as caught:
        read(*parts, declared=declared)

    assert (caught.value.status, caught.value.detail) == (413, "The body is larger than 100 bytes.")


@pytest.mark.parametrize("declared", [2, 4])
def test_another_length_than_declared_is_refused(declared):
    with pytest.raises(RefusedError) as caught:
        read(b"abc", declared=declared)

    assert caught.value.status == 400


def test_a_silent_client_is_refused():
    with pytest.raises(RefusedError) as caught:
        read(b"a", 5.0, b"b", silence_seconds=0.05)

    assert caught.value.status == 408


def test_a_slow_client_that_is_never_silent_is_waited_for():
    parts = [part for _ in range(8) for part in (0.03, b"x" * 50)]

    assert read(*parts, limit=400, silence_seconds=0.15) == (b"x" * 400, 400)


def test_a_byte_now_and_then_does_not_hold_the_connection():
    parts = [part for _ in range(100) for part in (0.03, b"x")]

    with pytest.raises(RefusedError) as caught:
        read(*parts, silence_seconds=0.15)

    assert (caught.value.status, caught.value.detail) == (408, "The body did not come in time.")


def test_empty_parts_do_not_count_as_a_sign_of_life():
    parts = [part for _ in range(20) for part in (0.03, b"")]

    with pytest.raises(RefusedError) as caught:
        read(*parts, b"x", silence_seconds=0.1)

    assert caught.value.status == 408


def test_a_client_that_leaves_is_not_answered():
    with pytest.raises(ClientGoneError):
        read(b"abc", None)


@pytest.mark.parametrize(("memory_bytes", "in_file"), [(15, True), (16, False)])
def test_a_large_body_goes_to_a_file(memory_bytes, in_file):
    async def run():
        receive = sender(b"x" * 8, b"y" * 8)
        file, _ = await read_body(receive, limit=100, declared=None, memory_bytes=memory_bytes)
        with file:
            return file._rolled, file.read()

    assert asyncio.run(run()) == (in_file, b"x" * 8 + b"y" * 8)


def test_many_slow_senders_share_the_memory():
    shares = []

    async def read_nothing(receive, *, memory_bytes, **options):
        shares.append(memory_bytes)
        await asyncio.sleep(0.01)
        raise ClientGoneError

    async def run():
        bridge = make_bridge(echo)
        await asyncio.gather(*(ask(bridge) for _ in range(1_000)))
        await ask(bridge)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opsplatform.bridge.application.read_body", read_nothing)
        asyncio.run(run())

    assert (shares[0], shares[31], shares[63], shares[999], shares[1000]) == (
        1_048_576,
        1_048_576,
        524_288,
        33_554,
        1_048_576,
    )


def test_a_body_that_the_disk_does_not_take_is_refused(monkeypatch, caplog):
    def refuse(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("opsplatform.bridge.application.MEMORY_BYTES", 10)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)

    answer = asyncio.run(ask(make_bridge(echo), scope("POST"), b"x" * 11))

    assert answer.status == 503
    assert b"No space" not in answer.body
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_what_is_too_large_is_read_only_so_far():
    taken = []

    async def receive():
        taken.append(1)
        return {"type": "http.request", "body": b"x" * 1_048_576, "more_body": True}

    with pytest.raises(RefusedError):
        asyncio.run(read_body(receive, limit=100, declared=None))

    assert len(taken) == 1 + 16


def test_a_sender_that_stops_in_the_middle_of_too_much_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(body_module, "_DISCARD_SECONDS", 0.05)

    with pytest.raises(RefusedError) as caught:
        read(b"x" * 101, 60.0, b"x")

    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("path", "limit"), [("/", 9), ("/api/x", 5), ("/api/events/1", 7), ("/apix", 9)]
)
def test_the_longest_beginning_decides(path, limit):
    limits = BodyLimits(9, [("/api/", 5), ("/api/events/", 7)])

    assert limits.of(path) == limit


@pytest.mark.parametrize(("path", "status"), [("/small/x", 413), ("/", 200)])
def test_routes_have_limits_of_their_own(path, status):
    assert asyncio.run(ask(make_bridge(echo), scope("POST", path), b"x" * 11)).status == status


def test_a_megabyte_arrives():
    sent = bytes(range(256)) * 4_096

    answer = asyncio.run(ask(make_bridge(echo), scope("POST"), sent[:500_000], sent[500_000:]))

    assert answer.body == sent


def test_the_body_is_closed_when_the_request_is_over():
    bodies = []

    def application(environ, start_response):
        bodies.append(environ["wsgi.input"])
        raise ZeroDivisionError

    asyncio.run(ask(make_bridge(application), scope("POST"), b"x"))

    assert [body.closed for body in bodies] == [True]


def test_the_body_of_a_request_without_a_thread_is_closed(monkeypatch):
    bodies = []

    async def keep(*args, **options):
        bodies.append(BytesIO())
        return bodies[0], 0

    async def refuse():
        raise RefusedError(503, "full")

    bridge = make_bridge(echo)
    monkeypatch.setattr("opsplatform.bridge.application.read_body", keep)
    monkeypatch.setattr(bridge.pool, "enter", refuse)

    assert asyncio.run(ask(bridge, scope("POST"), b"x")).status == 503
    assert [body.closed for body in bodies] == [True]


def beginning(receive, most=10, **options):
    async def read():
        file, length = await read_beginning(receive, most=most, declared=None, **options)
        return file.read(), length

    return asyncio.run(read())


def test_of_a_report_the_beginning_is_kept_whatever_its_length():
    assert beginning(sender(b"short")) == (b"short", 5)
    assert beginning(sender(b"exactly te", b"n more")) == (b"exactly te", 10)
    assert beginning(sender(*[b"x" * 1_000_000] * 60)) == (b"x" * 10, 10)


def test_of_a_report_that_stalls_what_came_is_kept():
    parts = [b"first"]

    async def receive():
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": True}
        return await asyncio.Future()

    assert beginning(receive, silence_seconds=0.05) == (b"first", 5)


def test_a_report_without_a_body_is_read_at_once():
    async def receive():
        raise AssertionError

    assert beginning(receive, chunked=False) == (b"", 0)


def test_limits_know_where_bodies_are_cut():
    limits = BodyLimits(100, cut={"/hb/": 10})

    assert (limits.cut_at("/hb/x"), limits.cut_at("/api/")) == (10, None)
    assert limits.of("/hb/x") == 100
