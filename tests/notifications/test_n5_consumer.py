"""One connection, frame by frame: who gets in, what is answered, what ends it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.models import UserSession
from accounts.services import revocation
from accounts.services.users import reset_password, update_user
from audit.models import AuditRecord
from core.actors import SYSTEM
from core.crypto import keyed_digest
from notifications.consumers import Consumer
from notifications.models import FeedEntry, ReadCursor
from notifications.services import conversation, live, livehub
from tests.support.sockets import KEY, PATH, Line, cookie, hub, in_db, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

ALERTS = "topic:alerts"
PONG = {"type": "pong"}


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
            async with asyncio.timeout(20):
                await talk(one)

    asyncio.run(main())


# Who gets in


def test_a_session_is_greeted_with_where_everything_is(operator, session):
    publish(3)
    live.mark_read(user_id=operator.pk, audience=ALERTS, seq=2)

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        hello = await line.frame()
        number = hello.pop("id")
        assert hello == {
            "type": "hello",
            "version": 1,
            "heartbeat_ms": 30_000,
            "topics": ["alerts", "incidents", "overview", "services"],
            "metrics": ["overview"],
            "audiences": {
                "topic:alerts": {"seq": 3, "read": 2},
                "topic:incidents": {"seq": 0, "read": 0},
                "topic:services": {"seq": 0, "read": 0},
                f"user:{operator.pk}": {"seq": 0, "read": 0},
            },
        }
        assert number in hub.hub.sockets
        assert hub.hub.statistics()["roles"] == {"operator": 1}
        await line.leave()
        assert hub.hub.sockets == {}
        assert hub.hub.closed == {1001: 1}

    converse(talk)


def test_a_key_in_the_header_needs_no_origin():
    async def talk(hub):
        line = await Line(hub, {"x-dash-key": KEY}).accepted()
        hello = await line.frame("hello")
        assert list(hello["audiences"]) == ["topic:alerts", "topic:incidents", "topic:services"]
        await line.leave()

    converse(talk)
    assert PATH in AuditRecord.objects.get(action="dashboard_key.used").payload


def test_a_key_in_the_first_frame_is_enough():
    async def talk(hub):
        line = await Line(hub).accepted()
        line.say({"type": "auth", "token": KEY})
        await line.frame("hello")
        assert hub.hub.waiting == 0
        await line.leave()

    converse(talk)


@pytest.mark.parametrize(
    "first",
    [{"type": "auth", "token": "wrong"}, {"type": "subscribe", "topics": []}, "{", "x" * 99],
)
def test_another_first_frame_is_not_enough(first):
    async def talk(hub):
        line = await Line(hub).accepted()
        line.say(first)
        assert await line.closed() == 4401
        await line.task
        assert (hub.hub.waiting, hub.hub.sockets, hub.hub.closed) == (0, {}, {4401: 1})

    converse(talk)


def test_who_says_nothing_is_sent_away(monkeypatch):
    monkeypatch.setattr(conversation, "AUTH_SECONDS", 0.05)

    async def talk(hub):
        line = await Line(hub).accepted()
        assert await line.closed() == 4401

    converse(talk)


def test_who_leaves_without_a_word_is_forgotten():
    async def talk(hub):
        line = await Line(hub).accepted()
        await line.leave()
        assert (hub.hub.waiting, hub.hub.closed) == (0, {})

    converse(talk)


def test_a_code_that_a_client_makes_up_is_counted_as_other():
    async def talk(hub):
        for code in (4409, 4999, 1000, 1005):
            line = await Line(hub, {"x-dash-key": KEY}).accepted()
            await line.frame("hello")
            line.give({"type": "websocket.disconnect", "code": code})
            await line.task
        assert hub.hub.statistics()["closed"] == {"1000": 1, "1005": 1, "other": 2}

    converse(talk)


def test_few_may_wait_without_a_name(settings):
    settings.WS_MAX_CONNECTIONS = 20

    async def talk(hub):
        first = await Line(hub).accepted()
        await asyncio.sleep(0.05)
        second = await Line(hub).accepted()
        assert (await second.frame("bye"))["code"] == 1013
        assert await second.closed() == 1013
        first.say({"type": "auth", "token": KEY})
        await first.frame("hello")
        await first.leave()

    converse(talk)


@pytest.mark.parametrize(
    "wrong", ["a" * 32, "short", "x" * 41, "quo'te" * 4, "nul\\000" * 3, "é" * 10]
)
def test_a_session_that_does_not_exist_is_told_by_a_code(wrong):
    async def talk(hub):
        line = await Line(hub, cookie(wrong)).accepted()
        assert await line.closed() == 4401

    converse(talk)


def test_a_wrong_key_is_not_made_good_by_a_session(session):
    async def talk(hub):
        line = await Line(hub, {**cookie(session), "x-dash-key": "wrong"}).accepted()
        assert await line.closed() == 4401

    converse(talk)


def test_nobody_listens_with_a_one_time_password(operator):
    reset_password(actor=SYSTEM, user_id=operator.pk)
    operator.refresh_from_db()
    session = sign_in(operator)

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        assert await line.closed() == 4403
        assert hub.hub.sockets == {}

    converse(talk)


@pytest.mark.parametrize("change", ["is_active", "password"])
def test_a_session_of_before_is_over(operator, session, change):
    setattr(operator, change, False if change == "is_active" else "another")
    operator.save()

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        assert await line.closed() == 4401

    converse(talk)


# What is refused before the handshake


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost:3000",
        "http://localhost.evil.example",
        "null",
        "",
        "ftp://localhost",
        "http://[",
    ],
)
def test_pages_of_other_sites_are_refused(session, origin):
    async def talk(hub):
        status, problem = await Line(hub, {**cookie(session), "origin": origin}).refused()
        assert (status, problem["detail"]) == (403, "The page belongs to another site.")
        assert hub.hub.stats["refused"] == 1

    converse(talk)


def test_a_cookie_without_an_origin_is_refused(session):
    headers = cookie(session)
    del headers["origin"]

    async def talk(hub):
        assert (await Line(hub, headers).refused())[0] == 403

    converse(talk)


@pytest.mark.parametrize("host", ["evil.example", "", "localhost:http"])
def test_other_names_of_the_host_are_refused(host):
    async def talk(hub):
        assert (await Line(hub, {"host": host, "x-dash-key": KEY}).refused())[0] == 403

    converse(talk)


@pytest.mark.parametrize(
    ("base", "host", "origin"),
    [
        ("https://ops.example.com", "ops.example.com", "https://ops.example.com"),
        ("https://ops.example.com", "127.0.0.1:8000", "https://ops.example.com"),
        ("http://127.0.0.1:8000", "localhost:8000", "http://LOCALHOST:8000"),
    ],
)
def test_our_own_pages_are_let_in(session, settings, base, host, origin):
    settings.BASE_URL = base
    settings.ALLOWED_HOSTS = ["ops.example.com", "127.0.0.1", "localhost"]

    async def talk(hub):
        line = Line(hub, {**cookie(session), "host": host, "origin": origin})
        await (await line.accepted()).frame("hello")
        await line.leave()

    converse(talk)


def test_on_https_a_page_of_plain_http_is_another_site(session, settings):
    settings.HTTPS = True

    async def talk(hub):
        assert (await Line(hub, cookie(session)).refused())[0] == 403
        line = Line(hub, {**cookie(session), "origin": "https://localhost"})
        await (await line.accepted()).frame("hello")
        await line.leave()

    converse(talk)


@pytest.mark.parametrize("other", ["authorization", "x-api-key"])
def test_two_credentials_are_refused_as_by_http(other):
    async def talk(hub):
        status, problem = await Line(hub, {"x-dash-key": KEY, other: "x"}).refused()
        assert (status, problem["detail"]) == (400, "Send one credential only.")

    converse(talk)


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_header_that_nothing_accepts_beats_the_cookie(header, session):
    async def talk(hub):
        line = await Line(hub, {**cookie(session), header: "Bearer of nothing"}).accepted()
        assert await line.closed() == 4401

    converse(talk)


def test_refusals_are_logged_once_a_second(caplog):
    caplog.set_level("INFO")

    async def talk(hub):
        door = Consumer(hub)
        for _ in range(50):
            assert (await Line(hub, {"host": ""}, door=door).refused())[0] == 403

    converse(talk)
    told = [record.getMessage() for record in caplog.records]
    assert 1 <= told.count("Socket refused 403") <= 3


def test_a_token_in_the_address_is_refused():
    async def talk(hub):
        line = Line(hub, {"x-dash-key": KEY}, query_string=b"token=" + KEY.encode())
        status, problem = await line.refused()
        assert status == 400
        assert KEY not in json.dumps(problem)

    converse(talk)


def test_switched_off_is_switched_off(settings, session):
    settings.WS_ENABLED = False

    async def talk(hub):
        assert (await Line(hub, cookie(session)).refused())[0] == 403

    converse(talk)


def test_other_paths_hold_nothing(session):
    async def talk(hub):
        assert (await Line(hub, cookie(session), path="/ws/other").refused())[0] == 404

    converse(talk)


def test_handshakes_of_one_address_are_counted(settings):
    settings.OPS_RATE_LIMIT = 2

    async def talk(hub):
        for _ in range(2):
            await (await Line(hub, {"x-dash-key": KEY}).accepted()).leave()
        line = Line(hub, {"x-dash-key": KEY})
        start = await line.message()
        assert start["status"] == 429
        assert int(dict(start["headers"])[b"retry-after"]) in range(1, 61)
        other = Line(hub, {"x-dash-key": KEY}, address="198.51.100.7")
        await (await other.accepted()).leave()

    converse(talk)


def test_a_server_that_cannot_refuse_by_http_closes(session):
    async def talk(hub):
        line = Line(hub, {**cookie(session), "origin": "http://evil.example"}, extensions=None)
        assert await line.closed() == 4403

    converse(talk)


# Limits


def test_the_eleventh_connection_of_one_person_is_refused(session, operator):
    async def talk(hub):
        lines = [await Line(hub, cookie(session)).accepted() for _ in range(10)]
        for line in lines:
            await line.frame("hello")
        eleventh = await Line(hub, cookie(session)).accepted()
        assert await eleventh.closed() == 4429
        await lines[0].leave()
        again = await Line(hub, cookie(session)).accepted()
        await again.frame("hello")

    converse(talk)


def test_a_full_process_says_when_to_come_back(settings, session):
    settings.WS_MAX_CONNECTIONS = 1

    async def talk(hub):
        first = await Line(hub, cookie(session)).accepted()
        await first.frame("hello")
        second = await Line(hub, cookie(session)).accepted()
        bye = await second.frame("bye")
        assert bye["code"] == 1013
        assert 1_000 <= bye["retry_ms"] < 10_000
        assert await second.closed() == 1013
        await first.leave()
        # With Redis, the place is free with the next sweep.
        await asyncio.sleep(livehub.RECHECK_SECONDS + 0.3)
        third = await Line(hub, cookie(session)).accepted()
        await third.frame("hello")

    converse(talk)


def test_three_bad_frames_end_it(session):
    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        for text in ("{", '{"type":"unknown"}'):
            line.say(text)
            assert (await line.frame())["type"] == "error"
        line.say('{"type":"auth","token":"x"}')
        assert await line.closed() == 4400

    converse(talk)


def test_a_frame_over_16_kilobytes_ends_it(session):
    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        line.say(json.dumps({"type": "pong", "t": "é" * 8_190}))
        assert await line.closed() == 4413

    converse(talk)


def test_bytes_end_it(session):
    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        line.give({"type": "websocket.receive", "bytes": b'{"type":"pong"}'})
        assert await line.closed() == 4400

    converse(talk)


def test_twenty_frames_a_second_are_enough(session):
    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        for _ in range(20):
            line.say(PONG)
        await asyncio.sleep(0.2)
        for _ in range(3):
            line.say(PONG)
        await asyncio.sleep(0.05)
        assert len(hub.hub.sockets) == 1
        for _ in range(20):
            line.say(PONG)
        assert await line.closed() == 4400

    converse(talk)


# Following


def test_entries_come_live_and_what_was_missed_first(session):
    publish(3)

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.subscribe("alerts", alerts=1)
        seen = [await line.frame() for _ in range(3)]
        assert [(one["type"], one.get("seq")) for one in seen] == [
            ("event", 2),
            ("event", 3),
            ("subscribed", None),
        ]
        await in_db(publish, 2)
        one = await line.frame("event")
        at = one.pop("at")
        assert one == {
            "type": "event",
            "audience": ALERTS,
            "seq": 4,
            "kind": "alert",
            "data": {"title": "shop is down"},
        }
        stored = await in_db(FeedEntry.objects.get, seq=4)
        assert at == stored.created_at.isoformat(timespec="milliseconds")
        assert (await line.frame("event"))["seq"] == 5

    converse(talk)


def test_what_happens_between_hello_and_subscribe_is_not_lost(session):
    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        await in_db(publish)
        line.say({"type": "subscribe", "topics": ["alerts"]})
        assert (await line.frame("event"))["seq"] == 1

    converse(talk)


def test_a_person_hears_what_is_meant_for_them_alone(make_user, session, operator):
    other = make_user(role="operator")

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.subscribe()
        await line.frame("subscribed")
        await in_db(publish, 1, f"user:{other.pk}")
        await in_db(publish, 1, ALERTS)
        await in_db(publish, 1, f"user:{operator.pk}")
        assert (await line.frame())["audience"] == f"user:{operator.pk}"

    converse(talk)


def test_another_subscription_takes_the_place_of_the_first(session):
    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.subscribe("alerts", "services")
        await line.frame("subscribed")
        line.say({"type": "subscribe", "topics": ["services"]})
        assert (await line.frame("subscribed"))["topics"] == ["services"]
        await in_db(publish, 1, ALERTS)
        await in_db(publish, 1, "topic:services")
        assert (await line.frame())["audience"] == "topic:services"

    converse(talk)


def test_topics_without_permission_are_refused(make_user):
    session = sign_in(make_user("reliability.view_service"))

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        hello = await line.subscribe("alerts", "services", "unknown")
        # The figures hold incidents and latencies too.
        assert hello["topics"] == ["services"]
        error = await line.frame()
        assert (error["type"], error["message"]) == (
            "error",
            "Not allowed, or unknown: alerts, unknown.",
        )
        assert (await line.frame())["topics"] == ["services"]
        await in_db(publish, 1, ALERTS)
        await in_db(publish, 1, "topic:services")
        assert (await line.frame())["audience"] == "topic:services"

    converse(talk)


@pytest.mark.parametrize("cursor", [5_000, 0])
def test_a_cursor_that_cannot_be_caught_up_begins_anew(session, cursor):
    publish()
    live.publish(ALERTS, "alert", {})
    FeedEntry.objects.filter(seq=1).delete()

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.subscribe("alerts", alerts=cursor)
        assert await line.frame() == {"type": "resync", "audience": ALERTS, "seq": 2}
        await in_db(publish)
        assert (await line.frame("event"))["seq"] == 3

    converse(talk)


def test_what_was_read_is_remembered(session, operator):
    publish(5)

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        line.say({"type": "read", "audience": ALERTS, "seq": 4})
        line.say({"type": "subscribe", "topics": []})
        await line.frame("subscribed")
        await line.leave()

    converse(talk)
    cursor = ReadCursor.objects.get()
    assert (cursor.user_id, cursor.audience, cursor.seq) == (operator.pk, ALERTS, 4)


@pytest.mark.parametrize("audience", ["topic:unknown", "user:00000000-0000-0000-0000-000000000000"])
def test_what_is_not_mine_cannot_be_read(session, audience):
    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        line.say({"type": "read", "audience": audience, "seq": 1})
        assert (await line.frame())["type"] == "error"

    converse(talk)
    assert ReadCursor.objects.count() == 0


# Metrics


def test_figures_are_taken_only_while_somebody_watches(session):
    taken = []

    def sample():
        taken.append(1)
        return {"up": len(taken)}

    async def talk(hub):
        hub.sources["overview"] = sample
        line = await Line(hub, cookie(session)).accepted()
        await line.subscribe("alerts")
        await line.frame("subscribed")
        await asyncio.sleep(0.2)
        assert taken == []
        line.say({"type": "subscribe", "topics": ["overview"]})
        told = await line.frame("metrics")
        assert (told["topic"], told["data"]) == ("overview", {"up": 1})
        late = await Line(hub, cookie(session)).accepted()
        await late.subscribe("overview")
        # Who comes later is told at once what is known.
        assert (await late.frame("metrics"))["data"] == {"up": len(taken)}
        await line.leave()
        await late.leave()
        await asyncio.sleep(0.1)
        count = len(taken)
        await asyncio.sleep(livehub.METRICS_SECONDS + 0.3)
        assert len(taken) == count

    converse(talk)
    assert FeedEntry.objects.count() == 0


# While connected


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
        await in_db(revoke, operator, session)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await line.closed() == 4401
        assert loop.time() - began < 1
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
        await asyncio.sleep(livehub.RECHECK_SECONDS + 0.3)
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
        self.count = 0
        really = livehub.with_fresh_connection

        def wait(call):
            self.count += 1
            self.go.wait(20)
            return really(call)

        monkeypatch.setattr(livehub, "with_fresh_connection", wait)


def test_a_database_that_hangs_does_not_hold_the_end_up(session, monkeypatch):
    monkeypatch.setattr(livehub, "STOP_SECONDS", 0.3)

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        hung = Hung(monkeypatch)
        waiting = Line(hub, cookie(session))
        await asyncio.sleep(livehub.RECHECK_SECONDS + 0.3)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await hub.stop()
            assert loop.time() - began < 1
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

    converse(talk)
    time.sleep(0.2)


def test_a_database_that_hangs_is_told_to_who_comes_and_pings_go_on(settings, session, monkeypatch):
    settings.WS_HEARTBEAT_INTERVAL = 1_000
    monkeypatch.setattr(livehub, "ANSWER_SECONDS", 0.3)

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        unknown = await Line(hub).accepted()
        hung = Hung(monkeypatch)
        try:
            await asyncio.sleep(livehub.RECHECK_SECONDS + 0.3)
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
        await asyncio.sleep(livehub.RECHECK_SECONDS + 0.3)
        assert hub._slots._held == set(hub.hub.sockets)
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
        began = time.monotonic()
        await hub.stop()
        took = time.monotonic() - began
        may_end.set()
        assert await line.closed() == 1012
        assert took < 5

    converse(talk)
