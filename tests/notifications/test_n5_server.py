"""The live feed behind a real server, and clients that misbehave, vanish or come back."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
import time

import aiohttp
import pytest

from accounts.services.revocation import end_all
from core.actors import SYSTEM
from core.crypto import keyed_digest
from notifications.services import live
from opsplatform import sockets as server_sockets
from opsplatform.bridge.protocol import GuardedProtocol
from tests.support.servers import unused_port
from tests.support.sockets import (
    KEY,
    PATH,
    PATIENCE,
    code_of,
    cookie,
    dialled,
    frame_of,
    in_db,
    looks,
    served,
    sign_in,
)

pytestmark = pytest.mark.django_db(transaction=True)

ALERTS = "topic:alerts"
SUBSCRIBE = {"type": "subscribe", "topics": ["alerts"]}
HEADERS = {"X-Dash-Key": KEY}


@pytest.fixture(autouse=True)
def _keys(settings):
    settings.DASHBOARD_KEYS = ((keyed_digest(settings.DASHBOARD_PEPPER, KEY), "operator"),)


def publish(count=1, **data):
    for number in range(count):
        live.publish(ALERTS, "alert", {"n": number, **data})


def in_time(main, seconds=90):
    asyncio.run(asyncio.wait_for(main, seconds))


def wait_until(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Raw:
    """A client that writes bytes and decides itself when to read."""

    def __init__(self, port, *, small=False):
        self.connection = socket.socket()
        if small:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.connection.settimeout(40)
        self.connection.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.connection.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Dash-Key: {KEY}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self.received = b""
        self.read_until(b"\r\n\r\n")

    def read_until(self, end):
        while end not in self.received:
            part = self.connection.recv(65_536)
            assert part, self.received
            self.received += part

    def send(self, payload, opcode=1, *, final=True):
        head = bytes([(0x80 if final else 0) | opcode])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        elif len(payload) < 65_536:
            head += bytes([0x80 | 126]) + struct.pack("!H", len(payload))
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", len(payload))
        self.connection.sendall(head + bytes(4) + payload)

    def say(self, told):
        self.send(json.dumps(told).encode())

    def end(self):
        """Return the code of the close frame; None when the connection was cut without one."""
        with contextlib.suppress(ConnectionError):
            while part := self.connection.recv(65_536):
                self.received += part
        at = self.received.rfind(b"\x88")
        if at < 0 or len(self.received) < at + 4:
            return None
        return struct.unpack("!H", self.received[at + 2 : at + 4])[0]


@pytest.fixture
def dial():
    """Return a function that connects such a client, which is closed after the test."""
    made = []

    def make(port, **options):
        made.append(Raw(port, **options))
        return made[-1]

    yield make
    for line in made:
        line.connection.close()


def test_entries_reach_a_real_client():
    async def main(server):
        async with dialled(server.url, HEADERS) as line:
            await frame_of(line, "hello")
            await line.send_json(SUBSCRIBE)
            await frame_of(line, "subscribed")
            await in_db(publish, 2)
            assert [(await frame_of(line))["seq"] for _ in range(2)] == [1, 2]

    with served() as server:
        in_time(main(server))
        wait_until(lambda: not server.live.hub.sockets, "the client's leaving")


def test_an_upgrade_without_a_session_is_told_why(make_user):
    async def main(server):
        async with dialled(server.url, {"Origin": f"http://127.0.0.1:{server.port}"}) as line:
            await line.send_json({"type": "auth", "token": "nobody's"})
            assert await code_of(line) == 4401
        wrong = cookie("a" * 32) | {"origin": f"http://127.0.0.1:{server.port}"}
        async with dialled(server.url, wrong) as line:
            assert await code_of(line) == 4401

    with served() as server:
        in_time(main(server))


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("", {"Origin": "http://evil.example"}, 403),
        ("", {"Host": "evil.example"}, 403),
        ("?token=" + KEY, {}, 400),
        ("/other", {}, 404),
    ],
)
def test_handshakes_are_refused_by_http(path, headers, status, caplog):
    async def main(server):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with dialled(server.url + path, headers):
                pass
        assert refused.value.status == status
        assert "default-src 'none'" in refused.value.headers["content-security-policy"]

    with served() as server:
        in_time(main(server))
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


def test_a_session_that_ends_closes_its_connection_within_a_second(make_user):
    operator = make_user(role="operator")
    session = sign_in(operator)

    async def main(server):
        headers = cookie(session) | {"origin": f"http://127.0.0.1:{server.port}"}
        async with dialled(server.url, headers) as line:
            await frame_of(line, "hello")
            with looks() as counted:
                await in_db(end_all, actor=SYSTEM, user_id=operator.pk, reason="test")
                before = len(counted)
                assert await code_of(line) == 4401
                # A second holds at least one look, however busy the machine is; the next one may
                # have begun before the client has heard of it.
                assert len(counted) - before <= 2

    with served() as server:
        in_time(main(server))


def test_who_does_not_read_is_cut_off_and_others_hear_everything(dial, monkeypatch):
    monkeypatch.setattr(server_sockets, "_LINGER_SECONDS", 0.5)

    async def main(server):
        async with dialled(server.url, HEADERS) as line:
            await frame_of(line, "hello")
            await line.send_json(SUBSCRIBE)
            await frame_of(line, "subscribed")
            for _ in range(10):
                await in_db(publish, 60, text="x" * 8_000)
            seqs = [(await frame_of(line, "event"))["seq"] for _ in range(600)]
            assert seqs == list(range(1, 601))

    with served() as server:
        slow = dial(server.port, small=True)
        slow.say(SUBSCRIBE)
        slow.read_until(b"subscribed")
        in_time(main(server))
        wait_until(lambda: not server.live.hub.sockets, "the end of the slow one")
        assert server.live.hub.closed[4409] == 1
        wait_until(lambda: len(server.live.hub.sockets) == 0, "cut")
        # Its connection is gone too, although it never read the close.
        with contextlib.suppress(ConnectionError):
            while slow.connection.recv(65_536):
                continue


def test_a_half_open_connection_is_noticed_by_its_silence(dial, settings, monkeypatch):
    settings.WS_HEARTBEAT_INTERVAL = 1_000
    monkeypatch.setattr(server_sockets, "_LINGER_SECONDS", 0.5)

    with served() as server:
        silent = dial(server.port)
        silent.read_until(b"hello")
        wait_until(lambda: not server.live.hub.sockets, "the end of the silent one")
        assert silent.end() == 4408
        assert server.live.hub.closed[4408] == 1


@pytest.mark.parametrize(("size", "code"), [(16_385, 4413), (65_537, 1009), (10_000_000, 1009)])
def test_huge_frames_end_the_connection(dial, size, code):
    with served() as server:
        line = dial(server.port)
        line.read_until(b"hello")
        with contextlib.suppress(ConnectionError):
            line.send(b"x" * size)
        assert line.end() in ({code, None} if size > 1_000_000 else {code})
        wait_until(lambda: not server.live.hub.sockets, "the end")


def test_a_frame_in_crumbs_ends_the_connection(dial):
    with served() as server:
        line = dial(server.port)
        line.read_until(b"hello")
        with contextlib.suppress(ConnectionError):
            line.send(b"", final=False)
            for _ in range(500):
                line.send(b"", opcode=0, final=False)
        line.end()
        wait_until(lambda: not server.live.hub.sockets, "the end")


def test_a_flood_of_pings_ends_the_connection(dial):
    with served() as server:
        line = dial(server.port)
        line.read_until(b"hello")
        with contextlib.suppress(ConnectionError):
            for _ in range(500):
                line.send(b"x" * 100, opcode=9)
        line.end()
        wait_until(lambda: not server.live.hub.sockets, "the end")


def test_protocol_pings_are_answered(dial):
    with served() as server:
        line = dial(server.port)
        line.read_until(b"hello")
        line.send(b"are you there", opcode=9)
        line.read_until(b"\x8a\x0dare you there")


def test_attempts_beyond_the_limit_cost_nobody_a_connection(settings):
    settings.WS_MAX_CONNECTIONS = 5

    async def attempt(server, codes):
        async with dialled(server.url, HEADERS) as line:
            codes.append(await code_of(line))

    async def main(server):
        codes = []
        async with dialled(server.url, HEADERS) as line:
            await frame_of(line, "hello")
            others = [dialled(server.url, HEADERS) for _ in range(4)]
            async with contextlib.AsyncExitStack() as stack:
                for other in others:
                    await frame_of(await stack.enter_async_context(other), "hello")
                for _ in range(20):
                    await asyncio.gather(*(attempt(server, codes) for _ in range(25)))
                await line.send_json(SUBSCRIBE)
                await frame_of(line, "subscribed")
        assert codes == [1013] * 500

    with served() as server:
        in_time(main(server), 60)


class Small(GuardedProtocol):
    """The protocol with room for ten."""

    most_connections = 10
    head_seconds = 60


class Hasty(GuardedProtocol):
    """The protocol with room for ten, which soon ends who never asks."""

    most_connections = 10
    head_seconds = 2


def test_more_connections_than_there_is_room_for_are_refused():
    with contextlib.ExitStack() as stack, served(protocol=Small) as server:
        for _ in range(10):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        with socket.create_connection(("127.0.0.1", server.port)) as refused:
            assert refused.recv(100).startswith(b"HTTP/1.1 503 ")


def test_connections_that_never_ask_take_no_place_for_long(dial, settings):
    with contextlib.ExitStack() as stack, served(protocol=Hasty) as server:
        address = ("127.0.0.1", server.port)
        idle = [stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(10)]
        for connection in idle:
            while connection.recv(100):
                continue
        # A connection that was upgraded is not watched as one that never asks.
        line = dial(server.port)
        line.read_until(b"hello")
        time.sleep(Hasty.head_seconds + 0.5)
        line.say(SUBSCRIBE)
        line.read_until(b"subscribed")


def test_a_client_catches_up_after_a_restart():
    port = unused_port()
    publish(3)

    async def first(server):
        async with dialled(server.url, HEADERS) as line:
            await frame_of(line, "hello")
            await line.send_json({**SUBSCRIBE, "cursors": {ALERTS: 0}})
            seen = [(await frame_of(line, "event"))["seq"] for _ in range(3)]
            server.stop()
            bye = await frame_of(line, "bye")
            assert bye["code"] == 1012
            assert await code_of(line) == 1012
            return seen

    async def second(server):
        async with dialled(server.url, HEADERS) as line:
            await frame_of(line, "hello")
            await line.send_json({**SUBSCRIBE, "cursors": {ALERTS: 3}})
            await in_db(publish)
            return [(await frame_of(line, "event"))["seq"] for _ in range(3)]

    with served(port) as server:
        assert asyncio.run(first(server)) == [1, 2, 3]
    publish(2)
    with served(port) as server:
        assert asyncio.run(second(server)) == [4, 5, 6]


def test_a_thousand_entries_come_in_order_while_others_are_published():
    publish(900)

    async def main(server):
        async with dialled(server.url, HEADERS) as line:
            await frame_of(line, "hello")
            publishing = asyncio.create_task(in_db(publish, 50))
            await line.send_json({**SUBSCRIBE, "cursors": {ALERTS: 0}})
            seqs = [(await frame_of(line, "event"))["seq"] for _ in range(950)]
            await publishing
            assert seqs == list(range(1, 951))

    with served() as server:
        in_time(main(server))
