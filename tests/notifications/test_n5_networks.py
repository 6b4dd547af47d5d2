"""The address filter at the door of the live feed: by role, by key, for the console, by proxies."""

from __future__ import annotations

import asyncio

import pytest
from django.contrib.auth.models import Group

from accounts.services import networks, sessions
from core.actors import SYSTEM
from notifications.models import Feed
from opsplatform.asgi import _address
from tests.support.sockets import Line, cookie, hub, sign_in

pytestmark = pytest.mark.django_db(transaction=True)
OFFICE = "198.51.100.0/24"
INSIDE, OUTSIDE = "198.51.100.7", "192.0.2.1"
ALLOWED, REFUSED = "hello", 4403


def knock(headers, address):
    """Connect from an address; return the first frame's type, or the code of the refusal."""

    async def main():
        async with hub() as one, asyncio.timeout(90):
            line = await Line(one, headers, address=address).accepted()
            message = await line.message()
            if message["type"] == "websocket.close":
                assert not one.hub.sockets
                assert message["reason"] == "not from this network"
                return message["code"]
            return "hello"

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("whose", "by", "outside"),
    [
        ("role", "cookie", REFUSED),
        ("role", "token", REFUSED),
        ("console", "cookie", REFUSED),
        # The list of the console limits no token.
        ("console", "token", ALLOWED),
    ],
)
def test_who_comes_from_another_network_is_refused(make_user, whose, by, outside):
    person = make_user(role="operator")
    headers = (
        cookie(sign_in(person))
        if by == "cookie"
        else {"authorization": f"Bearer {sessions.begin_api(user=person).access}"}
    )
    if whose == "console":
        networks.set_console_networks(actor=SYSTEM, networks=[OFFICE])
    else:
        group = Group.objects.get(name="operator").pk
        networks.set_role_policy(
            actor=SYSTEM, group_id=group, mfa_required=False, networks=[OFFICE]
        )

    assert knock(headers, INSIDE) == ALLOWED
    assert knock(headers, OUTSIDE) == outside
    assert not Feed.objects.exists()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        # Without a declared proxy nobody may say for whom they ask.
        (0, INSIDE, OUTSIDE),
        (1, INSIDE, INSIDE),
        # What a client made up stands before what the proxy has added.
        (1, f"{INSIDE}, 203.0.113.9", "203.0.113.9"),
    ],
)
def test_only_declared_proxies_name_the_client(settings, proxies, forwarded, address):
    settings.OPS_TRUSTED_PROXIES = proxies
    scope = {"client": (OUTSIDE, 1), "headers": [(b"x-forwarded-for", forwarded.encode())]}

    assert _address(scope) == address
