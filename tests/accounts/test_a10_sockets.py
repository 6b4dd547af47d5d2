"""Lists of networks at the handshake of the live feed (A10)."""

import asyncio

import pytest
from django.contrib.auth.models import Group

from accounts.services import api_keys, networks
from core.actors import SYSTEM
from core.crypto import keyed_digest
from tests.support.sockets import KEY, Line, cookie, hub, sign_in

pytestmark = pytest.mark.django_db(transaction=True)
OFFICE = "198.51.100.0/24"  # sockets of the tests come from 192.0.2.1


def shake(headers):
    """Return the code or status by which the handshake was refused, or None."""

    async def talk():
        async with hub() as live:
            line = Line(live, headers)
            first = await line.message()
            if first["type"] != "websocket.accept":
                await line.message()
                await line.task
                return first["status"]
            # Browsers learn reasons only from a connection that was open.
            second = await line.message()
            if second["type"] == "websocket.close":
                return second["code"]
            await line.leave()
            return None

    return asyncio.run(talk())


def test_the_console_list_closes_the_socket_of_a_cookie(make_user):
    session = sign_in(make_user(role="operator"))
    assert shake(cookie(session)) is None
    networks.set_console_networks(actor=SYSTEM, networks=[OFFICE])
    assert shake(cookie(session)) == 4403


def test_the_list_of_a_role_holds_for_the_socket(make_user):
    session = sign_in(make_user(role="operator"))
    group = Group.objects.get(name="operator")
    networks.set_role_policy(actor=SYSTEM, group_id=group.pk, mfa_required=False, networks=[OFFICE])
    assert shake(cookie(session)) == 4403


def test_the_list_of_a_key_holds_for_the_socket(make_user):
    owner = make_user(role="engineer")
    scopes = ["reliability:read", "notifications:read"]
    made = {"owner_id": owner.pk, "label": "bot", "scopes": scopes}
    _, anywhere = api_keys.create(actor=SYSTEM, **made)
    _, office = api_keys.create(actor=SYSTEM, networks=[OFFICE], **made)
    assert shake({"x-api-key": anywhere}) is None
    assert shake({"x-api-key": office}) == 4403


def test_the_list_of_a_role_holds_for_the_sockets_of_its_dashboard_keys(settings):
    digest = keyed_digest(settings.DASHBOARD_PEPPER, KEY)
    settings.DASHBOARD_KEYS = ((digest, "operator"),)
    assert shake({"x-dash-key": KEY}) is None
    group = Group.objects.get(name="operator")
    networks.set_role_policy(actor=SYSTEM, group_id=group.pk, mfa_required=False, networks=[OFFICE])
    assert shake({"x-dash-key": KEY}) == 4403


def test_a_wide_list_of_a_key_opens_no_socket_from_outside_its_owners_role(make_user):
    owner = make_user(role="engineer")
    _, wide = api_keys.create(
        actor=SYSTEM,
        owner_id=owner.pk,
        label="bot",
        scopes=["reliability:read"],
        networks=["0.0.0.0/0", "::/0"],
    )
    group = Group.objects.get(name="engineer")
    networks.set_role_policy(actor=SYSTEM, group_id=group.pk, mfa_required=False, networks=[OFFICE])
    assert shake({"x-api-key": wide}) == 4403
