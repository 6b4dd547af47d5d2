"""What ends a connection: a sign-in that is over, silence, the end of the server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.models import UserSession
from accounts.services import revocation
from accounts.services.users import reset_password, update_user
from core.actors import SYSTEM
from core.crypto import keyed_digest
from notifications.services import live, livehub
from tests.support.sockets import KEY, Line, cookie, hub, in_db, looks, sign_in, until

pytestmark = pytest.mark.django_db(transaction=True)

ALERTS = "topic:alerts"


@pytest.fixture(autouse=True)
def _keys(settings):
    settings.DASHBOARD_KEYS = ((keyed_digest(settings.DASHBOARD_PEPPER, KEY), "operator"),)


@pytest.fixture
def operator(make_user):
    return make_user(role="operator")


@pytest.fixture
def session(operator):
    return sign_in(operator)


def publish(count=1, audience=ALERTS):
    for _ in range(count):
        live.publish(audience, "alert", {"title": "shop is down"})


def converse(talk):
    """Run a test's own talk with a hub."""

    async def main():
        async with hub() as one:
            async with asyncio.timeout(90):
                await talk(one)

    asyncio.run(main())


def _end_session(operator, session):
    revocation.end_session(
        actor=SYSTEM, session=UserSession.objects.get(user=operator), reason="test"
    )


def _end_all(operator, session):
    revocation.end_all(actor=SYSTEM, user_id=operator.pk, reason="test")


def _end_everything(operator, session):
    revocation.end_everything(actor=SYSTEM, reason="test")


def _disable(operator, session):
    update_user(actor=SYSTEM, user_id=operator.pk, email="", roles=["operator"], is_active=False)


def _reset(operator, session):
    reset_password(actor=SYSTEM, user_id=operator.pk)


@pytest.mark.parametrize("revoke", [_end_session, _end_all, _end_everything, _disable, _reset])
def test_who_is_signed_out_hears_nothing_after_a_second(operator, session, revoke):
    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.subscribe("alerts")
        await line.frame("subscribed")
        key = await Line(hub, {"x-dash-key": KEY}).accepted()
        await key.frame("hello")
        with looks() as counted:
            await in_db(revoke, operator, session)
            before = len(counted)
            assert await line.closed() == 4401
            # A second holds at least one look, however busy the machine is.
            assert len(counted) - before <= 1
            assert livehub.RECHECK_SECONDS < 1
        assert len(hub.hub.sockets) == 1

    converse(talk)


def test_a_session_that_ends_by_itself_is_noticed(operator, session, monkeypatch):
    monkeypatch.setattr(livehub, "HOLD_SECONDS", 0.1)

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        long_ago = timezone.now() - timedelta(minutes=31)
        await in_db(lambda: UserSession.objects.update(last_seen_at=long_ago))
        assert await line.closed() == 4401

    converse(talk)


def test_a_role_that_is_taken_away_takes_its_topics_along(operator, session):
    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.subscribe("alerts", "services")
        await line.frame("subscribed")
        await in_db(operator.groups.clear)
        assert await line.frame() == {"type": "subscribed", "topics": [], "allowed": []}
        await in_db(publish, 1, ALERTS)
        await in_db(publish, 1, f"user:{operator.pk}")
        assert (await line.frame())["audience"] == f"user:{operator.pk}"
        line.say({"type": "subscribe", "topics": ["alerts"]})
        await line.frame("error")
        assert (await line.frame("subscribed"))["topics"] == []
        await in_db(lambda: operator.groups.add(Group.objects.get(name="operator")))
        allowed = ["alerts", "incidents", "overview", "services"]
        told = await line.frame("subscribed")
        assert (told["topics"], told["allowed"]) == ([], allowed)
        line.say({"type": "subscribe", "topics": ["alerts"], "cursors": {ALERTS: 0}})
        assert (await line.frame("event"))["audience"] == ALERTS

    converse(talk)


class Slow:
    """Rows whose reading waits until it is let go."""

    def __init__(self, hub):
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self._read = hub._rows.entries
        hub._rows.entries = self.entries

    async def entries(self, *asked):
        self.begun.set()
        await self.go.wait()
        return await self._read(*asked)


def test_a_role_that_is_taken_away_during_a_catch_up_takes_the_feed_along(operator, session):
    publish(2)

    async def talk(hub):
        slow = Slow(hub)
        line = await Line(hub, cookie(session)).accepted()
        await line.subscribe("alerts", alerts=0)
        await slow.begun.wait()
        await in_db(operator.groups.clear)
        with looks() as counted:
            # The first of them has ended when the second begins.
            await until(lambda: len(counted) >= 2)
        slow.go.set()
        assert await line.frame() == {"type": "subscribed", "topics": [], "allowed": []}
        await in_db(publish, 1, ALERTS)
        await in_db(publish, 1, f"user:{operator.pk}")
        assert (await line.frame())["audience"] == f"user:{operator.pk}"

    converse(talk)


def test_a_client_is_heard_while_it_is_caught_up(settings, session):
    settings.WS_HEARTBEAT_INTERVAL = 1_000
    publish(2)

    async def talk(hub):
        slow = Slow(hub)
        line = await Line(hub, cookie(session)).accepted()
        await line.subscribe("alerts", alerts=0)
        for _ in range(4):
            ping = await line.frame("ping")
            line.say({"type": "pong", "t": ping["t"]})
        # Of two subscriptions that come meanwhile, the last one counts.
        line.say({"type": "subscribe", "topics": ["services"]})
        line.say({"type": "subscribe", "topics": ["alerts"], "cursors": {ALERTS: 1}})
        await asyncio.sleep(0.05)
        slow.go.set()
        assert [(await line.frame("event"))["seq"] for _ in range(2)] == [1, 2]
        assert (await line.frame("subscribed"))["topics"] == ["alerts"]

    converse(talk)


def test_a_client_that_leaves_while_it_is_caught_up_is_forgotten_at_once(session):
    publish(2)

    async def talk(hub):
        slow = Slow(hub)
        line = await Line(hub, cookie(session)).accepted()
        await line.subscribe("alerts", alerts=0)
        await slow.begun.wait()
        await line.leave()
        assert (hub.hub.sockets, hub.hub.closed) == ({}, {1001: 1})

    converse(talk)


def test_heartbeats_are_sent_and_missed(settings, session):
    settings.WS_HEARTBEAT_INTERVAL = 1_000

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        other = await Line(hub, cookie(session)).accepted()
        for _ in range(3):
            ping = await line.frame("ping")
            line.say({"type": "pong", "t": ping["t"]})
        assert await other.closed() == 4408
        assert len(hub.hub.sockets) == 1

    converse(talk)


def test_the_end_of_the_server_is_announced(session):
    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        await hub.stop()
        bye = await line.frame("bye")
        assert bye["code"] == 1012
        assert 0 <= bye["retry_ms"] < 10_000
        assert await line.closed() == 1012
        late = await Line(hub, cookie(session)).accepted()
        assert await late.closed() == 1012

    converse(talk)


class Hung:
    """A database that does not answer until it is let go."""

    def __init__(self, monkeypatch):
        self.go = threading.Event()
        self.count = self.ended = 0
        self._lock = threading.Lock()
        really = livehub.with_fresh_connection

        def wait(call):
            with self._lock:
                self.count += 1
            self.go.wait(60)
            try:
                return really(call)
            finally:
                with self._lock:
                    self.ended += 1

        monkeypatch.setattr(livehub, "with_fresh_connection", wait)


def test_a_database_that_hangs_does_not_hold_the_end_up(session, monkeypatch):
    monkeypatch.setattr(livehub, "STOP_SECONDS", 0.3)

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        hung = Hung(monkeypatch)
        waiting = Line(hub, cookie(session))
        await until(lambda: hung.count == 2)
        try:
            # It would never end if it waited for the database.
            async with asyncio.timeout(90):
                await hub.stop()
            assert await line.closed() == 1012
            # Who comes now is not even judged.
            count = hung.count
            late = await Line(hub, cookie(session)).accepted()
            assert await late.closed() == 1012
            assert (hung.count, hub._pool) == (count, None)
        finally:
            hung.go.set()
        assert (await waiting.message())["type"] in {
            "websocket.http.response.start",
            "websocket.accept",
        }
        # Its threads give their connections back before the test ends.
        await until(lambda: hung.ended == hung.count)

    converse(talk)


def test_a_database_that_hangs_is_told_to_who_comes_and_pings_go_on(settings, session, monkeypatch):
    settings.WS_HEARTBEAT_INTERVAL = 1_000
    monkeypatch.setattr(livehub, "ANSWER_SECONDS", 0.3)

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        unknown = await Line(hub).accepted()
        hung = Hung(monkeypatch)
        try:
            await until(lambda: hung.count)
            status, problem = await Line(hub, {"x-dash-key": KEY}).refused()
            assert (status, problem["detail"]) == (503, "The platform has no database just now.")
            unknown.say({"type": "auth", "token": KEY})
            assert (await unknown.frame("bye"))["code"] == 1013
            assert await unknown.closed() == 1013
            for _ in range(3):
                ping = await line.frame("ping")
                line.say({"type": "pong", "t": ping["t"]})
        finally:
            hung.go.set()
        # Nobody took a place who does not wait for it any more.
        await until(lambda: hub._slots._held == set(hub.hub.sockets))
        await line.leave()

    converse(talk)


def test_settings_name_the_cookie():
    assert cookie("x")["cookie"].startswith(django_settings.SESSION_COOKIE_NAME)


def test_the_end_does_not_wait_for_what_swallows_its_cancellation(session, monkeypatch):
    monkeypatch.setattr(livehub, "STOP_SECONDS", 0.2)
    may_end = asyncio.Event()

    async def stubborn(*_args, **_kwargs):
        while not may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
        raise asyncio.CancelledError

    monkeypatch.setattr(livehub.wakeups, "watch", stubborn)

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        # It would never end if it waited for that loop.
        async with asyncio.timeout(90):
            await hub.stop()
        may_end.set()
        assert await line.closed() == 1012

    converse(talk)
