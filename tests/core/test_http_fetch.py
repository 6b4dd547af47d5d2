import asyncio
import contextlib
import gzip
import random
import zlib

import pytest
from aiohttp import web

from core.http import (
    MAX_BODY_BYTES,
    Allow,
    Failure,
    FetchError,
    InvalidTargetError,
    OutgoingRequest,
    Policy,
    RefusedTargetError,
    fetch,
    session,
)
from tests.support.servers import self_signed, serving, serving_raw, unused_port


async def ask(url, *, policy=Policy.MONITOR, allow=(), **options):
    async with session(policy, Allow.parse(allow)) as client:
        return await fetch(client, OutgoingRequest(url, **options))


async def echo(request):
    return web.json_response(
        {
            "method": request.method,
            "path": request.path_qs,
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "body": (await request.read()).decode(),
        }
    )


def run(handler, *, path="/", raw=False, tls=None, **options):
    """Start a server with the handler, ask it once, and return the answer."""

    async def scenario():
        context = serving_raw(handler) if raw else serving(handler, tls=tls)
        async with context as base:
            return await ask(base + path, **options)

    return asyncio.run(scenario())


def json_of(answer):
    import json

    return json.loads(answer.body)


def test_method_headers_and_body_arrive():
    answer = run(echo, path="/a?b=1", method="POST", headers={"X-One": "1"}, body=b"hello")

    seen = json_of(answer)
    assert (answer.status, seen["method"], seen["path"], seen["body"]) == (
        200,
        "POST",
        "/a?b=1",
        "hello",
    )
    assert (seen["headers"]["x-one"], seen["headers"]["user-agent"]) == ("1", "OpsPlatform")


def test_phases_add_up_to_no_more_than_the_total():
    phases = run(echo).phases

    parts = phases.dns_ms + phases.connect_ms + phases.tls_ms + phases.first_byte_ms
    assert 0 < phases.connect_ms < parts <= phases.total_ms
    assert phases.tls_ms == 0


def test_the_tls_handshake_has_a_phase_of_its_own(tmp_path):
    phases = run(echo, tls=self_signed(tmp_path), verify_tls=False).phases

    assert phases.tls_ms > 0
    assert phases.connect_ms > 0


def test_an_unknown_certificate_is_a_tls_failure(tmp_path):
    with pytest.raises(FetchError) as caught:
        run(echo, tls=self_signed(tmp_path))

    assert caught.value.failure is Failure.TLS
    assert "self-signed certificate" in caught.value.detail


def test_nobody_listening_is_a_connect_failure():
    with pytest.raises(FetchError) as caught:
        asyncio.run(ask(f"http://127.0.0.1:{unused_port()}/"))

    assert (caught.value.failure, caught.value.detail) == (Failure.CONNECT, "Connection refused")


@pytest.mark.parametrize("host", ["does-not-exist.invalid", "a..b", "a" * 64 + ".example", "a,b"])
def test_a_name_that_cannot_be_found_is_a_dns_failure(host):
    with pytest.raises(FetchError) as caught:
        asyncio.run(ask(f"http://{host}/"))

    assert caught.value.failure is Failure.DNS
    assert "Errno" not in caught.value.detail


def test_whatever_a_server_sends_is_an_answer_or_a_failure():
    chance = random.Random(5)  # noqa: S311  # the same bytes in every run
    whole = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"

    async def send(reader, writer):
        sent = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(sent))
            sent[place : place + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        writer.write(bytes(sent))
        await writer.drain()

    async def scenario():
        outcomes = set()
        async with serving_raw(send) as base, session(Policy.MONITOR) as client:
            for _ in range(300):
                try:
                    answer = await fetch(client, OutgoingRequest(base, timeout_seconds=5))
                except FetchError as error:
                    outcomes.add(error.failure)
                else:
                    outcomes.add(answer.status == 200)
        return outcomes

    assert asyncio.run(scenario()) >= {True, Failure.PROTOCOL}


def test_a_server_that_never_answers_ends_with_the_timeout():
    async def hang(reader, writer):
        await reader.read()

    with pytest.raises(FetchError) as caught:
        run(hang, raw=True, timeout_seconds=0.2)

    assert caught.value.failure is Failure.TIMEOUT
    assert 190 <= caught.value.phases.total_ms < 2000


def test_a_body_that_drips_for_ever_ends_with_the_timeout():
    async def drip(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    with pytest.raises(FetchError) as caught:
        run(drip, raw=True, timeout_seconds=0.3)

    assert caught.value.failure is Failure.TIMEOUT


def test_a_reset_connection_fails_at_once_and_is_not_tried_again():
    connections = []

    async def reset(reader, writer):
        connections.append(1)

    with pytest.raises(FetchError) as caught:
        run(reset, raw=True)

    assert caught.value.failure is Failure.PROTOCOL
    assert caught.value.detail == "The connection was closed before an answer came."
    assert len(connections) == 1


def test_an_answer_that_is_not_http_is_a_protocol_failure():
    async def greet(reader, writer):
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()

    with pytest.raises(FetchError) as caught:
        run(greet, raw=True)

    assert caught.value.failure is Failure.PROTOCOL


@pytest.mark.parametrize(
    "sent",
    [
        b"-ERR unknown command requirepass=hunter22\r\n",
        b"HTTP/1.1 2x0 requirepass=hunter22\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nrequirepass=hunter22\r\n",
    ],
    ids=["greeting", "status", "chunk"],
)
def test_what_is_no_http_is_quoted_in_the_excerpt_alone(sent):
    async def greet(reader, writer):
        writer.write(sent)
        await writer.drain()

    with pytest.raises(FetchError) as caught:
        run(greet, raw=True)

    assert caught.value.detail == "The server does not speak HTTP, or its headers are too large."
    assert "hunter22" not in str(caught.value)
    assert "hunter22" in caught.value.excerpt


def test_a_body_that_breaks_off_is_told_in_fixed_words():
    async def cut(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhunter22")
        await writer.drain()

    with pytest.raises(FetchError) as caught:
        run(cut, raw=True)

    assert caught.value.detail == "The answer broke off or is malformed."


def test_a_body_cut_short_is_a_protocol_failure():
    async def cut(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()

    with pytest.raises(FetchError) as caught:
        run(cut, raw=True)

    assert caught.value.failure is Failure.PROTOCOL


def test_an_endless_body_is_cut_and_the_answer_stands():
    async def endless(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await answer.write(b"x" * 65536)
        return answer

    answer = run(endless)

    assert (answer.status, len(answer.body), answer.truncated) == (200, MAX_BODY_BYTES, True)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_compressed_bomb_is_unpacked_no_further_than_the_limit(encoding, pack):
    async def bomb(request):
        return web.Response(body=pack(b"\0" * 50_000_000), headers={"Content-Encoding": encoding})

    answer = run(bomb, max_body_bytes=100_000)

    assert (len(answer.body), answer.truncated) == (100_000, True)


def test_a_compressed_body_is_unpacked():
    async def packed(request):
        return web.Response(body=gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"})

    answer = run(packed)

    assert (answer.body, answer.truncated) == (b"hello", False)


def test_a_body_that_only_claims_to_be_compressed_is_left_as_it_is():
    async def lying(request):
        return web.Response(body=b"hello", headers={"Content-Encoding": "gzip"})

    assert run(lying).body == b"hello"


@pytest.mark.parametrize(
    "headers",
    [b"X-Long: " + b"x" * 9000 + b"\r\n", b"".join(b"X-%d: 1\r\n" % n for n in range(110))],
    ids=["long", "many"],
)
def test_oversized_headers_are_a_protocol_failure(headers):
    async def answer(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n" + headers + b"Content-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)

    with pytest.raises(FetchError) as caught:
        run(answer, raw=True)

    assert caught.value.failure is Failure.PROTOCOL


def test_a_redirect_is_an_answer_unless_following_was_asked_for():
    async def moved(request):
        return web.Response(status=302, headers={"Location": "/other"})

    assert run(moved).status == 302


def test_redirects_are_followed_up_to_the_limit():
    async def count_down(request):
        left = int(request.path.strip("/") or 0)
        if left:
            return web.Response(status=302, headers={"Location": f"/{left - 1}"})
        return web.Response(text="end")

    assert run(count_down, path="/3", max_redirects=3).body == b"end"
    with pytest.raises(FetchError, match="More than 3 redirects"):
        run(count_down, path="/4", max_redirects=3)


@pytest.mark.parametrize("keep_alive", [False, True])
def test_the_connection_of_a_redirect_whose_body_never_ends_is_closed(keep_alive):
    ended = asyncio.Event()

    async def answer(request):
        if request.path == "/next":
            await asyncio.wait_for(ended.wait(), 2)
            return web.Response(text="end")
        moved = web.StreamResponse(status=302, headers={"Location": "/next"})
        await moved.prepare(request)
        try:
            while True:
                await moved.write(b".")
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async def scenario():
        async with (
            serving(answer) as base,
            session(Policy.MONITOR, keep_alive=keep_alive) as client,
        ):
            return await fetch(client, OutgoingRequest(base, max_redirects=1, timeout_seconds=5))

    assert asyncio.run(scenario()).body == b"end"


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http://169.254.169.254/latest/meta-data/", RefusedTargetError),
        ("http://[::ffff:169.254.169.254]/", RefusedTargetError),
        ("http://[fe80::1]/", RefusedTargetError),
        ("http://2852039166/", InvalidTargetError),
        ("http://user:secret@127.0.0.1/", InvalidTargetError),
        ("file:///etc/passwd", InvalidTargetError),
        ("ftp://127.0.0.1/", InvalidTargetError),
        ("http://[bad/", InvalidTargetError),
    ],
)
def test_a_redirect_is_judged_like_a_first_request(location, error):
    async def moved(request):
        return web.Response(status=302, headers={"Location": location})

    with pytest.raises(error):
        run(moved, max_redirects=3)


def test_a_redirect_from_https_to_http_is_refused(tmp_path):
    async def moved(request):
        return web.Response(status=302, headers={"Location": "http://127.0.0.1/"})

    with pytest.raises(InvalidTargetError, match="from https to http"):
        run(moved, tls=self_signed(tmp_path), verify_tls=False, max_redirects=1)


def test_credentials_stay_behind_when_a_redirect_leads_elsewhere():
    async def scenario():
        async with serving(echo) as other:

            async def moved(request):
                return web.Response(status=307, headers={"Location": other})

            async with serving(moved) as base:
                return await ask(
                    base,
                    headers={"Authorization": "Bearer x", "X-Key": "1", "User-Agent": "mine"},
                    max_redirects=1,
                )

    headers = json_of(asyncio.run(scenario()))["headers"]

    assert headers["user-agent"] == "mine"
    assert "authorization" not in headers
    assert "x-key" not in headers


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        (303, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (307, "POST", "POST", "data"),
        (303, "HEAD", "HEAD", ""),
    ],
)
def test_method_and_body_after_a_redirect(status, method, then, body):
    seen = []

    async def moved(request):
        if request.path == "/":
            return web.Response(status=status, headers={"Location": "/next"})
        seen.append((request.method, (await request.read()).decode()))
        return web.Response()

    run(moved, method=method, body=b"data" if method == "POST" else None, max_redirects=1)

    assert seen == [(then, body)]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_outbound_does_not_reach_loopback_by_address_or_by_name(host):
    hits = []

    async def count(request):
        hits.append(1)
        return web.Response()

    async def scenario():
        async with serving(count) as base:
            await ask(base.replace("127.0.0.1", host), policy=Policy.OUTBOUND)

    with pytest.raises(RefusedTargetError, match="OPS_OUTGOING_ALLOW"):
        asyncio.run(scenario())
    assert hits == []


def test_outbound_reaches_a_listed_host_and_port():
    async def scenario():
        async with serving(echo) as base:
            url = base.replace("127.0.0.1", "localhost")
            return await ask(url, policy=Policy.OUTBOUND, allow=[url.removeprefix("http://")])

    assert asyncio.run(scenario()).status == 200


def test_a_name_with_several_addresses_is_reached_by_an_allowed_one_only():
    async def scenario():
        async with serving(echo) as base:
            url = base.replace("127.0.0.1", "localhost")
            return await ask(url, policy=Policy.OUTBOUND, allow=["127.0.0.0/8"])

    assert asyncio.run(scenario()).status == 200


def test_the_refusal_does_not_tell_the_address():
    with pytest.raises(RefusedTargetError) as caught:
        asyncio.run(ask("http://localhost/", policy=Policy.OUTBOUND))

    assert "127.0.0.1" not in str(caught.value)


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")

    assert run(echo).status == 200
