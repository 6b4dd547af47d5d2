"""Several processes: one limit through Redis, wake-ups that are lost, a Redis that is away."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import uuid

import psycopg
import pytest
import redis
from django.conf import settings as django_settings

from core.crypto import keyed_digest
from notifications.services import live, livehub, slots, wakeups
from notifications.services.slots import KEY as PLACES
from notifications.services.slots import Slots
from opsplatform.testing.services import start_redis
from tests.support.platform import ROOT, free_port, wait_until
from tests.support.sockets import (
    KEY,
    Line,
    code_of,
    come_back,
    dialled,
    frame_of,
    hub,
    in_db,
)

ALERTS = "topic:alerts"
SUBSCRIBE = {"type": "subscribe", "topics": ["alerts"]}
HEADERS = {"x-dash-key": KEY}
with_redis = pytest.mark.skipif(not django_settings.REDIS_URL, reason="needs Redis")


@pytest.fixture(autouse=True)
def _fresh(settings):
    settings.DASHBOARD_KEYS = ((keyed_digest(settings.DASHBOARD_PEPPER, KEY), "operator"),)
    wakeups.reset()


def publish():
    live.publish(ALERTS, "alert", {})


@with_redis
def test_places_are_counted_over_all_processes(settings):
    first, second = Slots(3), Slots(3)

    assert [first.take("a"), second.take("b"), first.take("c")] == [True, True, True]
    assert [first.take("d"), second.take("e")] == [False, False]
    second.give_back(["b"])
    assert first.take("d")
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        assert {name.decode() for name in client.zrange(PLACES, 0, -1)} == {"a", "c", "d"}


@with_redis
def test_places_of_a_killed_process_run_out(settings, monkeypatch):
    monkeypatch.setattr(slots, "HELD_SECONDS", 1)
    dead, alive = Slots(2), Slots(2)
    assert dead.take("dead")
    assert alive.take("alive")
    assert not alive.take("new")

    wait_until(lambda: alive.hold(["alive"]) or alive.take("new"), seconds=5, what="a place")

    with redis.Redis.from_url(settings.REDIS_URL) as client:
        assert {name.decode() for name in client.zrange(PLACES, 0, -1)} == {"alive", "new"}


@with_redis
@pytest.mark.django_db(transaction=True)
def test_a_place_that_another_process_took_is_taken(settings):
    settings.WS_MAX_CONNECTIONS = 1

    async def main():
        async with hub() as first, hub() as second:
            line = await Line(first, HEADERS).accepted()
            await line.frame("hello")
            refused = await Line(second, HEADERS).accepted()
            assert await refused.closed() == 1013
            await line.leave()
            await come_back(second, HEADERS)

    asyncio.run(asyncio.wait_for(main(), 90))


@with_redis
@pytest.mark.django_db(transaction=True)
def test_redis_wakes_other_processes_at_once(monkeypatch):
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 60)

    async def main():
        async with hub() as one:
            line = await Line(one, HEADERS).accepted()
            await line.subscribe("alerts")
            await line.frame("subscribed")
            await asyncio.sleep(0.3)
            # Nobody would look for a minute.
            await in_db(publish)
            assert (await line.frame("event"))["seq"] == 1

    asyncio.run(asyncio.wait_for(main(), 90))


@pytest.mark.django_db(transaction=True)
def test_without_its_redis_the_feed_goes_on(settings, caplog):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    settings.WS_MAX_CONNECTIONS = 1

    async def main():
        async with hub() as one:
            line = await Line(one, HEADERS).accepted()
            await line.subscribe("alerts")
            await line.frame("subscribed")
            for seq in (1, 2):
                await in_db(publish)
                assert (await line.frame("event"))["seq"] == seq
            # The process counts alone.
            second = await Line(one, HEADERS).accepted()
            assert await second.closed() == 1013

    asyncio.run(asyncio.wait_for(main(), 90))
    said = {record.getMessage().partition(" (")[0] for record in caplog.records}
    assert {
        "Redis does not ring for the live feed",
        "This process counts its connections alone",
        "Without Redis, feeds are looked at each second",
    } <= said


@with_redis
@pytest.mark.fault
@pytest.mark.timeout(300)
@pytest.mark.django_db(transaction=True)
def test_a_redis_that_is_restarted_is_used_again(settings, monkeypatch, tmp_path):
    port = free_port()
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    monkeypatch.setattr(livehub, "HOLD_SECONDS", 0.5)
    servers = [start_redis(tmp_path, port)]

    def stop():
        servers[-1].kill()
        servers[-1].wait()

    def is_used():
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            (_, listeners), *_ = client.pubsub_numsub(wakeups.CHANNEL)
            return listeners == 1 and client.zcard(PLACES) == 1

    async def main():
        async with hub() as one:
            line = await Line(one, HEADERS).accepted()
            await line.subscribe("alerts")
            await line.frame("subscribed")
            await asyncio.to_thread(wait_until, is_used, what="the first Redis")
            stop()
            # It is away: entries come by looking.
            for seq in (1, 2):
                await in_db(publish)
                assert (await line.frame("event"))["seq"] == seq
            servers.append(await asyncio.to_thread(start_redis, tmp_path, port))
            # The new one knows nothing; it is listened to, and learns which places are held.
            await asyncio.to_thread(wait_until, is_used, what="the second Redis")
            await in_db(publish)
            assert (await line.frame("event"))["seq"] == 3
            assert list(one.hub.closed) == []

    try:
        asyncio.run(asyncio.wait_for(main(), 120))
    finally:
        stop()


@pytest.mark.django_db(transaction=True)
def test_with_a_redis_that_hangs_the_feed_goes_on(settings):
    # Its backlog takes connections that nobody ever answers.
    with socket.create_server(("127.0.0.1", 0), backlog=100) as hung:
        settings.REDIS_URL = f"redis://127.0.0.1:{hung.getsockname()[1]}/0"

        async def main():
            async with hub() as one:
                line = await Line(one, HEADERS).accepted()
                await line.subscribe("alerts")
                await line.frame("subscribed")
                for seq in (1, 2):
                    # Neither waits for an answer that never comes.
                    await in_db(publish)
                    assert (await line.frame("event"))["seq"] == seq

        asyncio.run(asyncio.wait_for(main(), 90))


@pytest.mark.django_db(transaction=True)
def test_a_wake_up_that_is_lost_costs_seconds_only(monkeypatch):
    monkeypatch.setattr(wakeups, "ring", lambda: None)
    monkeypatch.setattr(wakeups.SQLiteWatch, "changed", lambda _: False)
    monkeypatch.setattr(wakeups, "SAFETY_SECONDS", 0.3)

    async def main():
        async with hub() as one:
            line = await Line(one, HEADERS).accepted()
            await line.subscribe("alerts")
            await line.frame("subscribed")
            await in_db(publish)
            assert (await line.frame("event"))["seq"] == 1

    asyncio.run(asyncio.wait_for(main(), 90))


def test_a_copy_for_a_drill_leaves_the_originals_redis_alone(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    settings.OPS_MODE = "drill"

    assert wakeups.redis_url() == ""
    assert Slots(1).take("a")


class Web:
    """A web process of its own; a context that leaves none behind."""

    def __init__(self, environment):
        self.port = free_port()
        self._environment = {**environment, "OPS_PORT": str(self.port)}

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "web"], cwd=ROOT, env=self._environment
        )
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/ws/notifications"

    async def greeted(self, stack):
        """Connect, once the process listens."""
        for _ in range(200):
            try:
                line = await stack.enter_async_context(dialled(self.url, {"X-Dash-Key": KEY}))
            except OSError:
                await asyncio.sleep(0.1)
            else:
                return line, await frame_of(line)
        pytest.fail("the process does not listen")


@pytest.fixture
def environment(tmp_path):
    """Return the environment of processes that share a database of their own, migrated."""
    found = {
        **os.environ,
        "OPS_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "opsplatform.settings",
        "ROLES_JSON": json.dumps({KEY: "operator"}),
        "WS_MAX_CONNECTIONS": "2",
    }
    if django_settings.REDIS_URL:
        name = f"live_{uuid.uuid4().hex}"
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        found["DATABASE_URL"] = re.sub(r"/postgres\?", f"/{name}?", os.environ["DATABASE_URL"])
    command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
    subprocess.run(command, cwd=ROOT, env=found, check=True, timeout=120)
    return found


def publish_in(environment):
    """Publish an entry from a process of its own."""
    code = (
        "import django; django.setup(); from notifications.services import live; "
        "live.publish('topic:alerts', 'alert', {})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, timeout=120)


@pytest.mark.fault
@pytest.mark.timeout(300)
def test_a_killed_process_takes_nothing_along(environment):
    async def main(first, second):
        import contextlib

        async with contextlib.AsyncExitStack() as stack:
            lost, hello = await first.greeted(stack)
            assert hello["type"] == "hello"
            kept, _ = await second.greeted(stack)
            for line in (lost, kept):
                await line.send_json(SUBSCRIBE)
                await frame_of(line, "subscribed")
            await asyncio.to_thread(publish_in, environment)
            assert [(await frame_of(line, "event"))["seq"] for line in (lost, kept)] == [1, 1]
            first.process.send_signal(signal.SIGKILL)
            assert await code_of(lost) == 1006
            await asyncio.to_thread(publish_in, environment)
            assert (await frame_of(kept, "event"))["seq"] == 2
            if django_settings.REDIS_URL:
                # The place of the killed one is held until it runs out.
                _, bye = await second.greeted(stack)
                assert (bye["type"], bye["code"]) == ("bye", 1013)
                return
            back, _ = await second.greeted(stack)
            await back.send_json({**SUBSCRIBE, "cursors": {ALERTS: 1}})
            assert (await frame_of(back, "event"))["seq"] == 2

    with Web(environment) as first, Web(environment) as second:
        asyncio.run(asyncio.wait_for(main(first, second), 240))


@pytest.mark.fault
@pytest.mark.timeout(300)
def test_a_process_that_is_asked_to_end_says_goodbye(environment):
    async def main(web):
        import contextlib

        async with contextlib.AsyncExitStack() as stack:
            line, _ = await web.greeted(stack)
            web.process.terminate()
            assert (await frame_of(line, "bye"))["code"] == 1012
            assert await code_of(line) == 1012

    with Web(environment) as web:
        asyncio.run(asyncio.wait_for(main(web), 240))
        assert web.process.wait(timeout=15) in {0, -signal.SIGTERM}
