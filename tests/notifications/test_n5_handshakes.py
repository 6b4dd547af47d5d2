"""Who gets in at the door of the live feed, and by what others are refused."""

from __future__ import annotations

import asyncio
import json

import pytest

from accounts.services.users import reset_password
from audit.models import AuditRecord
from core.actors import SYSTEM
from core.crypto import keyed_digest
from notifications.consumers import Consumer
from notifications.services import conversation, live
from tests.support.sockets import KEY, PATH, Line, come_back, cookie, hub, sign_in

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
        await come_back(hub, cookie(session))

    converse(talk)
