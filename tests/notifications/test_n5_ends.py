"""Sockets that are open end with what let them in, and when nobody can know whether it holds."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError

from accounts.selectors import access
from accounts.services import networks, sessions
from core import feed as feeds
from core.actors import SYSTEM
from core.crypto import keyed_digest
from notifications.services import livehub
from tests.support.sockets import KEY, Line, cookie, hub, in_db, sign_in

pytestmark = pytest.mark.django_db(transaction=True)
OFFICE = "198.51.100.0/24"  # sockets of the tests come from 192.0.2.1


def converse(talk):
    async def main():
        async with hub() as one:
            async with asyncio.timeout(90):
                await talk(one)

    asyncio.run(main())


def test_a_dashboard_key_that_is_taken_away_takes_its_socket_along(settings):
    digest = keyed_digest(settings.DASHBOARD_PEPPER, KEY)
    settings.DASHBOARD_KEYS = ((digest, "operator"),)

    async def talk(hub):
        line = await Line(hub, {"x-dash-key": KEY}).accepted()
        await line.frame("hello")
        settings.DASHBOARD_KEYS = ((keyed_digest(settings.DASHBOARD_PEPPER, "x" * 40), "operator"),)
        assert await line.closed() == 4401

    converse(talk)


@pytest.mark.parametrize("by", ["cookie", "token"])
@pytest.mark.parametrize("whose", ["role", "console"])
def test_new_networks_hold_for_sockets_that_are_open(make_user, by, whose):
    person = make_user(role="operator")
    headers = (
        cookie(sign_in(person))
        if by == "cookie"
        else {"authorization": f"Bearer {sessions.begin_api(user=person).access}"}
    )
    group = Group.objects.get(name="operator").pk

    def act():
        if whose == "console":
            networks.set_console_networks(actor=SYSTEM, networks=[OFFICE])
        else:
            networks.set_role_policy(
                actor=SYSTEM, group_id=group, mfa_required=False, networks=[OFFICE]
            )

    async def talk(hub):
        line = await Line(hub, headers).accepted()
        await line.frame("hello")
        await in_db(act)
        if (whose, by) == ("console", "token"):
            # The list of the console limits no token.
            await asyncio.sleep(1.5)
            assert len(hub.hub.sockets) == 1
        else:
            assert await line.closed() == 4401

    converse(talk)


@pytest.mark.parametrize("stale", [False, True])
def test_who_cannot_be_judged_is_sent_away_for_a_while(make_user, monkeypatch, settings, stale):
    settings.OPS_AUTH_STALE_READS = stale
    session = sign_in(make_user(role="operator"))

    def away():
        raise OperationalError

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        real = time.monotonic
        monkeypatch.setattr(access.feed, "_connected", away)
        monkeypatch.setattr(feeds.time, "monotonic", lambda: real() + feeds.FAIL_SECONDS + 1)
        if stale:
            await asyncio.sleep(2)
            assert len(hub.hub.sockets) == 1
            return
        told = await line.frame("bye")
        assert (told["code"], told["retry_ms"] >= 1_000) == (1013, True)
        assert await line.closed() == 1013

    converse(talk)


def test_a_look_that_never_ends_ends_the_sockets(make_user, monkeypatch):
    session = sign_in(make_user(role="operator"))
    monkeypatch.setattr(livehub, "BLIND_SECONDS", 1.5)
    released = threading.Event()

    async def talk(hub):
        line = await Line(hub, cookie(session)).accepted()
        await line.frame("hello")
        monkeypatch.setattr(livehub, "still_granted", lambda *_: released.wait(20) and {})
        try:
            assert await line.closed() == 1013
        finally:
            released.set()

    converse(talk)
