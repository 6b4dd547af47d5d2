"""One connection, frame by frame: what a client says, and what it is answered."""

from __future__ import annotations

import asyncio
import json

import pytest

from core.crypto import keyed_digest
from notifications.models import FeedEntry, ReadCursor
from notifications.services import live, livehub
from tests.support.sockets import KEY, Line, cookie, hub, in_db, sign_in

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
            async with asyncio.timeout(90):
                await talk(one)

    asyncio.run(main())


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


def test_own_messages_say_nothing_once_the_right_to_see_alerts_is_gone(
    make_user, session, operator
):
    own = f"user:{operator.pk}"
    roles = [*make_user(role="user").groups.all()]

    def tell(title):
        live.publish(own, "message", {"title": title, "service": "shop"})
        live.publish(own, "job.finished", {"title": "Report"})

    async def heard(line, count):
        told = [await line.frame("event") for _ in range(count)]
        return [(one["seq"], one["kind"], one["data"].get("title")) for one in told]

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.subscribe()
        await line.frame("subscribed")
        await in_db(tell, "shop is down")
        first = [(1, "message", "shop is down"), (2, "job.finished", "Report")]
        assert await heard(line, 2) == first
        await in_db(operator.groups.set, roles)
        await line.frame("subscribed")
        await in_db(tell, "shop is slow")
        bare = [(3, "message", None), (4, "job.finished", "Report")]
        assert await heard(line, 2) == bare
        late = await Line(hub, cookie(session)).accepted()
        late.say({"type": "subscribe", "topics": [], "cursors": {own: 0}})
        assert await heard(late, 4) == [(1, "message", None), first[1], *bare]

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
