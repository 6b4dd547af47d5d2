"""Lists of networks: how they are written, who changes them, where they hold (A10)."""

import io
import json
import timeit

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from accounts.authentication.networks import AllowedNetworkMiddleware
from accounts.engine.networks import MOST, allows, parse
from accounts.engine.snapshots import Snapshot
from accounts.models import AccessChange, Installation, RolePolicy
from accounts.services import networks
from audit.models import AuditRecord
from core import tracing
from core.actors import SYSTEM
from core.errors import InvalidInputError

OFFICE = "192.0.2.0/24"
INSIDE, OUTSIDE = "192.0.2.7", "198.51.100.7"


@pytest.mark.parametrize(
    ("texts", "stored"),
    [
        ([], ()),
        ([" ", ""], ()),
        (["10.0.0.0/8", "10.0.0.0/8 "], ("10.0.0.0/8",)),
        (["2001:DB8::/32", "192.0.2.1"], ("192.0.2.1/32", "2001:db8::/32")),
        (["::ffff:192.0.2.0/120"], ("192.0.2.0/24",)),
        (["::ffff:192.0.2.9"], ("192.0.2.9/32",)),
        (["0.0.0.0/0", "::/0"], ("0.0.0.0/0", "::/0")),
    ],
)
def test_networks_are_kept_in_one_spelling(texts, stored):
    assert parse(texts) == stored


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.1/8", "write 10.0.0.0/8, or the host alone"),
        ("office", "is no network"),
        ("10.0.0.0/33", "is no network"),
        ("fe80::1%eth0", "leave the zone out"),
        ("192.0.2.010", "is no network"),
        ("10.0.0.0-10.0.0.9", "is no network"),
    ],
)
def test_what_is_no_network_says_what_to_write(text, why):
    with pytest.raises(ValueError, match=why.replace(".", r"\.")):
        parse([text])


def test_a_list_has_an_end():
    assert len(parse(f"10.0.{number}.0/24" for number in range(MOST))) == MOST
    with pytest.raises(ValueError, match="name larger ones"):
        parse(f"10.0.{number}.0/24" for number in range(MOST + 1))


@pytest.mark.parametrize(
    ("listed", "address", "allowed"),
    [
        ([], "203.0.113.9", True),
        ([], "", True),
        ([OFFICE], "", False),
        ([OFFICE], "not an address", False),
        ([OFFICE], INSIDE, True),
        ([OFFICE], "::ffff:192.0.2.7", True),
        ([OFFICE], "192.0.3.0", False),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["2001:db8::/32"], "2001:db8:ffff::1", True),
        (["2001:db8::/32"], INSIDE, False),
    ],
)
def test_an_address_is_in_or_out(listed, address, allowed):
    assert allows(parse(listed), address) is allowed


@given(st.ip_addresses(), st.integers(0, 32))
def test_every_network_holds_its_own_addresses(address, wide):
    from ipaddress import ip_network

    network = ip_network((address, wide if address.version == 4 else wide * 4), strict=False)
    if address.version == 6 and address.ipv4_mapped:
        return
    assert allows(parse([str(network)]), str(address))


def snapshot(*lists):
    return Snapshot(
        user_id=None,
        username="ada",
        is_active=True,
        is_staff=True,
        is_superuser=False,
        must_change_password=False,
        epoch="1.0",
        roles=frozenset(),
        permissions=frozenset(),
        mfa_required=False,
        networks=lists,
    )


def is_let_in(place, person, address):
    try:
        networks.refuse_address(place=place, snapshot=person, address=address)
    except networks.AddressRefusedError:
        return False
    return True


@pytest.mark.django_db
def test_the_most_specific_list_decides_and_all_lists_of_roles_must_agree():
    networks.set_console_networks(actor=SYSTEM, networks=["203.0.113.0/24"])
    both = snapshot((OFFICE,), ("192.0.2.0/28", "10.0.0.0/8"))
    for place in ("console", "login"):
        assert is_let_in(place, snapshot((OFFICE,)), INSIDE)
        assert not is_let_in(place, snapshot((OFFICE,)), "203.0.113.1")
        assert is_let_in(place, both, "192.0.2.7")
        assert not is_let_in(place, both, "192.0.2.77")
        assert not is_let_in(place, both, "10.0.0.1")
    assert not is_let_in("console", snapshot(), INSIDE)
    assert is_let_in("login", snapshot(), INSIDE)


@pytest.mark.django_db
def test_without_lists_the_question_costs_less_than_a_microsecond(django_assert_num_queries):
    person = snapshot()
    networks.refuse_address(place="console", snapshot=person, address=INSIDE)
    with django_assert_num_queries(0):
        seconds = min(
            timeit.repeat(
                lambda: networks.refuse_address(place="login", snapshot=person, address=INSIDE),
                number=10_000,
                repeat=5,
            )
        )
    assert seconds / 10_000 < 2e-6


@pytest.mark.django_db
def test_a_change_is_on_the_record_and_in_the_feed():
    networks.set_console_networks(actor=SYSTEM, networks=[OFFICE])
    networks.set_console_networks(actor=SYSTEM, networks=[OFFICE])
    row = AuditRecord.objects.get(action="console_networks.updated")
    assert json.loads(row.payload) == {
        "before": {"networks": []},
        "after": {"networks": [OFFICE]},
    }
    assert AccessChange.objects.filter(kind="allow").count() == 1


@pytest.mark.django_db
def test_who_would_shut_themselves_out_is_refused(make_user):
    from accounts.actors import actor_for

    admin = make_user(role="admin")
    actor = actor_for(admin)
    role = Group.objects.get(name="admin")
    other = Group.objects.get(name="operator")
    with tracing.bind(address=OUTSIDE):
        with pytest.raises(InvalidInputError, match=OUTSIDE):
            networks.set_console_networks(actor=actor, networks=[OFFICE])
        with pytest.raises(InvalidInputError, match=OUTSIDE):
            networks.set_role_policy(
                actor=actor, group_id=role.pk, mfa_required=True, networks=[OFFICE]
            )
        # A list of others' shuts nobody out who is here.
        networks.set_role_policy(
            actor=actor, group_id=other.pk, mfa_required=False, networks=[OFFICE]
        )
        from accounts.services import users

        with pytest.raises(InvalidInputError, match="you would shut yourself out"):
            users.update_user(
                actor=actor, user_id=admin.pk, email="", roles=["admin", "operator"], is_active=True
            )
    assert not Installation.objects.exclude(console_networks=[]).exists()
    assert list(RolePolicy.objects.values_list("group__name", "mfa_required", "networks")) == [
        ("operator", False, [OFFICE])
    ]
    assert list(admin.groups.values_list("name", flat=True)) == ["admin"]


@pytest.mark.django_db
def test_the_lists_are_emptied_from_the_machine_and_on_the_record():
    networks.set_console_networks(actor=SYSTEM, networks=[OFFICE])
    group = Group.objects.get(name="operator")
    networks.set_role_policy(actor=SYSTEM, group_id=group.pk, mfa_required=True, networks=[OFFICE])
    out = io.StringIO()
    call_command("clear_allow_lists", reason="shut out", stdout=out)
    assert out.getvalue().startswith("Emptied 2 lists.")
    assert Installation.objects.get().console_networks == []
    assert list(RolePolicy.objects.values_list("networks", "mfa_required")) == [([], True)]
    row = AuditRecord.objects.get(action="allow_lists.cleared")
    assert (row.actor_kind, row.reason) == ("command", "shut out")
    out = io.StringIO()
    call_command("clear_allow_lists", stdout=out)
    assert out.getvalue().startswith("There was no list")
    assert AuditRecord.objects.filter(action="allow_lists.cleared").count() == 1


def test_the_middleware_stands_behind_the_one_that_knows_who_comes(settings):
    order = settings.MIDDLEWARE
    name = f"{AllowedNetworkMiddleware.__module__}.{AllowedNetworkMiddleware.__name__}"
    assert order.index(name) > order.index(
        "django.contrib.auth.middleware.AuthenticationMiddleware"
    )
    assert order.index(name) > order.index("observability.middleware.RequestLogMiddleware")
