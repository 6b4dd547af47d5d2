"""Every call of the API by every role, by nobody, by an API key and by a dashboard key."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.engine import key_format
from accounts.models import APIKey
from accounts.roles import ROLES
from accounts.scopes import SCOPES, permissions_of
from accounts.selectors import access
from accounts.services import api_keys
from audit.services.acts import unwatched
from core.crypto import key_id, keyed_digest
from core.rest.permissions import PUBLIC, SIGNED_IN
from tests.architecture.routes import calls, example

pytestmark = pytest.mark.django_db

DASHBOARD_KEY = "a-dashboard-key-of-forty-characters-long"
CALLS = list(calls())
FORBIDDEN = "urn:opsplatform:problem:forbidden"
NEVER = ("accounts.", "auth.")
# An empty proof is wrong, whoever sends it.
PROOFS = {
    "api/auth/login",
    "api/auth/mfa",
    "api/auth/reauth",
    "api/auth/passkey",
    "api/auth/refresh",
}


def ask(method, path, **headers):
    client = Client(raise_request_exception=False)
    if user := headers.pop("user", None):
        # Some calls end all sessions of a person, after which older ones are over.
        user.refresh_from_db()
        access.standing.apply("perm", str(user.pk))
        client.force_login(user)
    return (
        getattr(client, method)(
            example(path), data="{}", content_type="application/json", headers=headers
        )
        if method != "get"
        else client.get(example(path), headers=headers)
    )


def is_refused(answer):
    return answer.status_code == 403 and answer.json().get("type") == FORBIDDEN


def give_key(owner, scopes):
    """Make a key past the service, which asks what the owner may do."""
    from django.conf import settings

    pepper = settings.KEYRING.ensure(api_keys.PEPPER)
    public, raw = key_format.make()
    with unwatched("set-up of a test"):
        APIKey.objects.create(
            key_id=public,
            digest=keyed_digest(pepper, raw).hex(),
            pepper_id=key_id(pepper),
            owner=owner,
            label="CI",
            scopes=list(scopes),
            expires_at=timezone.now() + timedelta(days=1),
        )
    return raw


@pytest.mark.parametrize("role", [*sorted(ROLES), None])
def test_a_role_gets_in_exactly_where_its_permissions_say(make_user, role):
    user = make_user(role=role)
    held = ROLES.get(role, frozenset())
    wrong = []
    for method, path, needed in CALLS:
        allowed = needed in {PUBLIC, SIGNED_IN} or needed in held
        answer = ask(method, path, user=user)
        is_stranger = answer.status_code == 401 and path not in PROOFS
        if is_refused(answer) == allowed or is_stranger:
            wrong.append((method, path, needed, answer.status_code))
    assert wrong == []


def test_nobody_gets_in_but_where_everybody_may():
    wrong = []
    for method, path, needed in CALLS:
        answer = ask(method, path)
        known = answer.headers.get("Content-Type", "").startswith("application/problem")
        is_stranger = answer.status_code == 401 and known
        if needed != PUBLIC and not is_stranger:
            wrong.append((method, path, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("role", ["admin", "engineer", "user"])
def test_an_api_key_of_all_scopes_may_what_its_owner_may_and_never_manages_access(make_user, role):
    raw = give_key(make_user(role=role), SCOPES)
    held = permissions_of(SCOPES) & ROLES[role]
    assert not any(name.startswith(NEVER) for name in held)
    wrong = []
    for method, path, needed in CALLS:
        allowed = needed in {PUBLIC, SIGNED_IN} or needed in held
        if is_refused(ask(method, path, **{"X-Api-Key": raw})) == allowed:
            wrong.append((method, path, needed))
    assert wrong == []


def test_an_api_key_without_scopes_may_nothing(make_user):
    raw = give_key(make_user(role="admin"), [])
    wrong = [
        (method, path)
        for method, path, needed in CALLS
        if needed not in {PUBLIC, SIGNED_IN}
        and not is_refused(ask(method, path, Authorization=f"Bearer {raw}"))
    ]
    assert wrong == []


def test_a_dashboard_key_may_what_its_role_may_and_never_manages_access(settings):
    digest = keyed_digest(settings.DASHBOARD_PEPPER, DASHBOARD_KEY)
    settings.DASHBOARD_KEYS = ((digest, "admin"),)
    held = {name for name in ROLES["admin"] if not name.startswith(NEVER)}
    wrong = []
    for method, path, needed in CALLS:
        allowed = needed in {PUBLIC, SIGNED_IN} or needed in held
        if is_refused(ask(method, path, **{"X-Dash-Key": DASHBOARD_KEY})) == allowed:
            wrong.append((method, path, needed))
    assert wrong == []


def test_keys_are_refused_on_every_route_of_ones_own_account(make_user, settings):
    digest = keyed_digest(settings.DASHBOARD_PEPPER, DASHBOARD_KEY)
    settings.DASHBOARD_KEYS = ((digest, "admin"),)
    raw = give_key(make_user(role="admin"), SCOPES)
    own = [
        (method, path)
        for method, path, needed in CALLS
        if path.startswith("api/auth/") and needed != PUBLIC
    ]
    assert len(own) > 10
    open_to_keys = [
        (method, path, name)
        for method, path in own
        for name, value in (("X-Api-Key", raw), ("X-Dash-Key", DASHBOARD_KEY))
        if ask(method, path, **{name: value}).status_code not in {400, 403}
    ]
    assert open_to_keys == [
        ("get", "api/auth/me", "X-Api-Key"),
        ("get", "api/auth/me", "X-Dash-Key"),
    ]


def test_every_permission_that_the_api_asks_for_can_be_given_by_a_scope():
    asked = {
        needed
        for _, _, needed in CALLS
        if needed not in {PUBLIC, SIGNED_IN, None} and not needed.startswith(NEVER)
    }
    assert asked - permissions_of(SCOPES) == set()


def test_scopes_name_permissions_of_the_roles_and_none_of_access():
    named = permissions_of(SCOPES)
    assert named <= set().union(*ROLES.values())
    assert not any(name.startswith(NEVER) for name in named)
    assert all(name.count(":") == 1 and scope.words for name, scope in SCOPES.items())
