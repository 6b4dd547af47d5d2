"""Pages that may open a socket with the cookie of a person: our own, and no others."""

from __future__ import annotations

import asyncio

import pytest

from core.crypto import keyed_digest
from tests.support.sockets import KEY, Line, cookie, hub, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _keys(settings):
    settings.DASHBOARD_KEYS = ((keyed_digest(settings.DASHBOARD_PEPPER, KEY), "operator"),)


@pytest.fixture
def operator(make_user):
    return make_user(role="operator")


@pytest.fixture
def session(operator):
    return sign_in(operator)


def converse(talk):
    """Run a test's own talk with a hub."""

    async def main():
        async with hub() as one:
            async with asyncio.timeout(90):
                await talk(one)

    asyncio.run(main())


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
