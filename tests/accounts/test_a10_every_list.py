"""Lists of roles hold for keys too, and nobody shuts every admin out with one (A6, A7, A10)."""

import pytest
from django.contrib.auth.models import Group

from accounts.actors import actor_for
from accounts.authentication import api_keys as holders
from accounts.authentication import dashboard_keys
from accounts.models import Installation, RolePolicy, User
from accounts.selectors import networks as remembered
from accounts.services import api_keys, networks
from audit.models import AuditRecord
from audit.services.acts import unwatched
from core import tracing
from core.actors import SYSTEM
from core.crypto import keyed_digest
from core.errors import InvalidInputError

pytestmark = pytest.mark.django_db
OFFICE, ALL = "192.0.2.0/24", ["0.0.0.0/0", "::/0"]
INSIDE, OUTSIDE = "192.0.2.7", "198.51.100.7"
KEY = "a-dashboard-key-of-forty-characters-long"


def limit(role, listed=OFFICE, actor=SYSTEM):
    group = Group.objects.get(name=role)
    networks.set_role_policy(
        actor=actor, group_id=group.pk, mfa_required=False, networks=[listed] if listed else []
    )


@pytest.fixture
def dashboard_key(settings):
    digest = keyed_digest(settings.DASHBOARD_PEPPER, KEY)
    settings.DASHBOARD_KEYS = ((digest, "operator"),)
    return digest


def test_a_dashboard_key_is_limited_by_the_list_of_its_role(api, dashboard_key):
    limit("operator")
    limit("analyst", "203.0.113.0/24")
    headers = {"X-Dash-Key": KEY}
    assert api.get("/api/services/", headers=headers, REMOTE_ADDR=INSIDE).status_code == 200
    refused = api.get("/api/services/", headers=headers, REMOTE_ADDR=OUTSIDE)
    assert (refused.status_code, refused.json()["type"].rsplit(":", 1)[1]) == (
        403,
        "address-refused",
    )
    row = AuditRecord.objects.get(action="address.refused")
    assert (row.outcome, row.actor_key) == ("denied", dashboard_key.hex()[:8])
    assert AuditRecord.objects.filter(action="dashboard_key.used").count() == 1


def test_a_connection_of_a_dashboard_key_is_judged_anew(dashboard_key, settings):
    stands = dashboard_keys.stands
    assert stands(dashboard_key.hex(), "operator", OUTSIDE)
    limit("operator")
    assert not stands(dashboard_key.hex(), "operator", OUTSIDE)
    assert stands(dashboard_key.hex(), "operator", INSIDE)
    assert not stands(dashboard_key.hex(), "admin", INSIDE)
    settings.DASHBOARD_KEYS = ()
    assert not stands(dashboard_key.hex(), "operator", INSIDE)


def test_the_list_of_a_key_never_widens_that_of_its_owners_roles(api, make_user):
    owner = make_user(role="engineer")
    made = {"owner_id": owner.pk, "label": "CI", "scopes": ["reliability:read"]}
    _, wide = api_keys.create(actor=SYSTEM, networks=ALL, **made)
    narrow, raw = api_keys.create(actor=SYSTEM, networks=["192.0.2.7", "198.51.100.0/24"], **made)
    limit("engineer")

    def status(key, address):
        headers = {"X-Api-Key": key}
        return api.get("/api/services/", headers=headers, REMOTE_ADDR=address).status_code

    assert status(wide, INSIDE) == 200
    assert status(wide, OUTSIDE) == 403
    assert status(raw, INSIDE) == 200
    assert status(raw, "192.0.2.8") == 403  # not on its own list
    assert status(raw, OUTSIDE) == 403  # on its own list, not on the role's
    assert holders.standing_principal(narrow.key_id, INSIDE) is not None
    assert holders.standing_principal(narrow.key_id, OUTSIDE) is None
    assert holders.standing_principal(narrow.key_id, "192.0.2.8") is None


def test_a_superuser_outside_the_role_cannot_shut_all_admins_out(make_user):
    make_user(role="admin")
    author = make_user(role="user", is_superuser=True)
    with tracing.bind(address=INSIDE):
        with pytest.raises(InvalidInputError, match=INSIDE):
            limit("admin", "203.0.113.0/24", actor_for(author))
        limit("admin", OFFICE, actor_for(author))
    assert RolePolicy.objects.get().networks == [OFFICE]


def test_a_list_of_a_role_that_every_admin_has_counts_too(make_user):
    author = make_user(role="user", is_superuser=True)
    admin = make_user(role="admin")
    with unwatched("set-up of a test"):
        admin.groups.add(Group.objects.get(name="operator"))
    with tracing.bind(address=INSIDE):
        with pytest.raises(InvalidInputError, match="no active admin"):
            limit("operator", "203.0.113.0/24", actor_for(author))
        assert not RolePolicy.objects.exists()
        # With another admin who has not that role, somebody can still come in.
        make_user(role="admin")
        limit("operator", "203.0.113.0/24", actor_for(author))
    assert RolePolicy.objects.get().networks == ["203.0.113.0/24"]


def test_emptying_the_list_of_admins_does_not_leave_them_to_a_console_list_without_them(make_user):
    admin = make_user(role="admin")
    limit("admin")
    networks.set_console_networks(actor=SYSTEM, networks=["203.0.113.0/24"])
    with tracing.bind(address=INSIDE), pytest.raises(InvalidInputError, match="no active admin"):
        limit("admin", "", actor_for(admin))
    assert RolePolicy.objects.get().networks == [OFFICE]


def test_who_never_chose_a_password_or_is_disabled_does_not_count_as_an_admin(make_user):
    author = make_user(role="user", is_superuser=True)
    admin = make_user(role="admin")
    idle = make_user(role="admin")
    with unwatched("set-up of a test"):
        admin.groups.add(Group.objects.get(name="operator"))
        User.objects.filter(pk=idle.pk).update(must_change_password=True)
        make_user(role="admin", is_active=False)
    with tracing.bind(address=INSIDE), pytest.raises(InvalidInputError, match="no active admin"):
        limit("operator", "203.0.113.0/24", actor_for(author))


def test_the_console_list_must_not_shut_every_admin_out(make_user):
    author = make_user(role="user", is_superuser=True)
    make_user(role="admin")
    with tracing.bind(address=INSIDE), pytest.raises(InvalidInputError, match=INSIDE):
        networks.set_console_networks(actor=actor_for(author), networks=["203.0.113.0/24"])
    assert not Installation.objects.exclude(console_networks=[]).exists()
    assert remembered.lists().console == ()
