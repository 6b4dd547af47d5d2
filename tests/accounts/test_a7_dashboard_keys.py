"""Dashboard keys: a role by header, in constant time, never for people (A7)."""

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from accounts.actors import DashboardPrincipal
from accounts.roles import ROLES
from audit.models import AuditRecord
from core.crypto import keyed_digest

pytestmark = pytest.mark.django_db

KEY = "a-dashboard-key-of-forty-characters-long"


@pytest.fixture
def key(settings):
    digest = keyed_digest(settings.DASHBOARD_PEPPER, KEY)
    settings.DASHBOARD_KEYS = (
        (keyed_digest(settings.DASHBOARD_PEPPER, "x" * 40), "user"),
        (digest, "auditor"),
    )
    return KEY


def test_a_key_acts_with_its_role(api, key):
    answer = api.get("/api/audit/", headers={"X-Dash-Key": key})
    assert answer.status_code == 200


def test_a_role_without_the_permission_is_refused(api, settings, key):
    answer = api.get("/api/audit/", headers={"X-Dash-Key": "x" * 40})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:opsplatform:problem:forbidden")


@pytest.mark.parametrize("given", ["", "wrong", KEY[:-1], KEY + "x", "é" * 40, "x" * 10_000])
def test_a_wrong_key_is_refused_with_a_constant_text(api, key, given):
    answer = api.get("/api/audit/", headers={"X-Dash-Key": given})
    assert answer.status_code == 401
    assert answer.json()["detail"] == "Sign in or send a valid key."
    assert AuditRecord.objects.count() == 0


def test_a_wrong_key_is_not_saved_by_a_session(client, make_user, key):
    client.force_login(make_user(role="admin"))
    answer = client.get("/api/audit/", headers={"X-Dash-Key": "wrong"})
    assert answer.status_code == 401


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
def test_a_header_that_nothing_accepts_is_not_saved_by_a_session(client, make_user, header):
    client.force_login(make_user(role="admin"))
    answer = client.get("/api/audit/", headers={header: "Bearer of-nothing"})
    assert answer.status_code == 401


def test_two_credentials_at_once_are_refused(api, key):
    headers = {"X-Dash-Key": key, "Authorization": "Bearer x"}
    assert api.get("/api/audit/", headers=headers).status_code == 400


def test_use_is_on_the_record_once_a_minute_and_never_tells_the_key(api, key):
    for _ in range(3):
        api.get("/api/audit/", headers={"X-Dash-Key": key})
    row = AuditRecord.objects.get(action="dashboard_key.used")
    assert row.actor_kind == "dashboard_key"
    assert len(row.actor_key) == 8
    assert KEY not in repr(vars(row))


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_key_never_reaches_people(role):
    principal = DashboardPrincipal(fingerprint="0" * 8, role=role)
    assert not any(
        principal.has_perm(code)
        for code in ROLES["admin"]
        if code.startswith(("accounts.", "auth."))
    )


def test_a_key_for_an_unknown_role_is_a_system_check_error(settings):
    settings.DASHBOARD_KEYS = ((b"digest", "emperor"),)
    found = [message for message in run_checks() if message.id == "accounts.E001"]
    assert len(found) == 1
    assert "emperor" in found[0].msg


@pytest.mark.parametrize("raw", ["{", "[]", '{"short": "admin"}', f'{{"{KEY}": 1}}'])
def test_a_table_that_makes_no_sense_stops_the_start_without_printing_it(raw, monkeypatch):
    from opsplatform.env import Environment
    from opsplatform.settings import security

    env = Environment({"ROLES_JSON": raw})
    monkeypatch.setattr(security, "ENV", env)
    security._dashboard_keys()
    with pytest.raises(ImproperlyConfigured) as refused:
        env.refuse()
    assert "ROLES_JSON" in str(refused.value)
    assert KEY not in str(refused.value)
    assert "short" not in str(refused.value)
