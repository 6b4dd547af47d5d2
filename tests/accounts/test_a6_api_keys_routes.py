"""API keys over HTTP: routes, pages, and whose they are (A6)."""

import json
import re
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import APIKey, UserSession
from accounts.services import api_keys
from audit.models import AuditRecord
from audit.services.acts import unwatched
from core.actors import SYSTEM

pytestmark = pytest.mark.django_db
RAW = re.compile(r"ops_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}")
NEW = {"label": "nightly-build", "scopes": ["reliability:read"]}


def make(owner, **fields):
    given = {**NEW, **fields}
    return api_keys.create(actor=SYSTEM, owner_id=owner.pk, **given)


def post(client, path, data=None):
    return client.post(path, json.dumps(data or {}), content_type="application/json")


def forget_the_proof(user):
    """Let the sign-in be an hour old, so that it proves nothing fresh."""
    with unwatched("set-up of a test"):
        UserSession.objects.filter(user=user).update(
            created_at=timezone.now() - timezone.timedelta(hours=1)
        )


@pytest.fixture
def owner(make_user):
    return make_user(role="engineer", username="ada")


def test_a_person_makes_uses_lists_and_revokes_a_key(client, console, owner, api):
    console(owner)
    made = post(client, "/api/auth/keys", {**NEW, "days": 30, "networks": ["127.0.0.1"]})
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    raw = made.json()["key"]
    assert RAW.fullmatch(raw)

    for headers in ({"X-Api-Key": raw}, {"Authorization": f"Bearer {raw}"}):
        assert api.get("/api/services/", headers=headers).status_code == 200
        assert api.get("/api/audit/", headers=headers).status_code == 403
        assert post(api, "/api/services/", {}).status_code in {401, 403}

    listed = client.get("/api/auth/keys").json()["results"]
    assert [(key["label"], key["owner"], key["networks"]) for key in listed] == [
        ("nightly-build", "ada", ["127.0.0.1/32"])
    ]
    assert raw not in client.get("/api/auth/keys").content.decode()

    assert client.delete(f"/api/auth/keys/{made.json()['id']}").status_code == 204
    assert api.get("/api/services/", headers={"X-Api-Key": raw}).status_code == 401
    assert client.delete(f"/api/auth/keys/{made.json()['id']}").status_code == 409


def test_rotation_by_api_shows_the_new_key_once(client, console, owner):
    console(owner)
    old, _ = make(owner)
    answer = post(client, f"/api/auth/keys/{old.pk}/rotate", {"grace_hours": 0})
    assert answer.status_code == 201
    assert RAW.fullmatch(answer.json()["key"])
    assert answer.json()["rotated_from"] == str(old.pk)
    assert APIKey.objects.valid().count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": "nightly-build"},
        {**NEW, "scopes": ["accounts:write"]},
        {**NEW, "days": 400},
        {**NEW, "networks": ["all"]},
        {**NEW, "owner": "root"},
    ],
)
def test_wrong_values_are_400_and_make_no_key(client, console, owner, wrong):
    console(owner)
    assert post(client, "/api/auth/keys", wrong).status_code == 400
    assert APIKey.objects.count() == 0


def test_making_and_rotating_ask_for_a_fresh_proof(client, console, owner):
    console(owner)
    old, _ = make(owner)
    forget_the_proof(owner)
    for path, data in (("/api/auth/keys", NEW), (f"/api/auth/keys/{old.pk}/rotate", {})):
        answer = post(client, path, data)
        assert (answer.status_code, answer.json()["type"][-16:]) == (403, "step-up-required")
    assert APIKey.objects.count() == 1


def test_nobody_sees_rotates_or_ends_another_persons_key(client, console, owner, make_user):
    key, _ = make(owner)
    console(make_user(role="admin"))
    assert client.get("/api/auth/keys").json()["results"] == []
    assert client.delete(f"/api/auth/keys/{key.pk}").status_code == 404
    assert post(client, f"/api/auth/keys/{key.pk}/rotate").status_code == 404
    for page in ("rotate", "revoke"):
        for method in ("get", "post"):
            answer = getattr(client, method)(f"/account/keys/{key.pk}/{page}/")
            assert answer.status_code == 404
    assert "nightly-build" not in client.get("/account/keys/").content.decode()
    assert APIKey.objects.valid().count() == 1


def test_admins_list_and_revoke_everybodys_keys_and_auditors_only_list(client, make_user, owner):
    key, _ = make(owner)
    client.force_login(make_user(role="auditor"))
    assert len(client.get("/api/auth/admin/keys?owner=ada&state=valid").json()["results"]) == 1
    assert client.delete(f"/api/auth/admin/keys/{key.pk}").status_code == 403
    client.force_login(make_user(role="admin"))
    answer = client.delete(
        f"/api/auth/admin/keys/{key.pk}",
        json.dumps({"reason": "leaked"}),
        content_type="application/json",
    )
    assert answer.status_code == 204
    key.refresh_from_db()
    assert key.revoked_reason == "leaked"
    assert (
        client.get("/api/auth/admin/keys?state=ended").json()["results"][0]["label"]
        == "nightly-build"
    )
    assert client.delete(f"/api/auth/admin/keys/{uuid4()}").status_code == 404


def test_the_page_offers_what_the_person_may_and_shows_the_key_once(client, console, owner):
    console(owner)
    form = client.get("/account/keys/new/").content.decode()
    assert "reliability:write" in form
    assert "audit:read" not in form
    # Whoever may see incidents and not resolve them is not offered to let a key resolve them.
    assert "reliability:resolve" not in form

    given = {"label": "nightly-build", "scopes": ["reliability:read"], "days": "30", "networks": ""}
    answer = client.post("/account/keys/new/", given)
    raw = RAW.search(answer.content.decode()).group()
    assert "no-store" in answer.headers["Cache-Control"]
    assert "data-copy" in answer.content.decode()
    listed = client.get("/account/keys/").content.decode()
    assert raw not in listed
    assert f"ops_{raw[4:16]}_" in listed
    for page in (answer.content.decode(), listed):
        assert "See services, checks, results, incidents and uptime tests" in page


def test_an_unknown_scope_is_told_which_there_are(client, console, owner):
    console(owner)
    given = {"label": "nightly-build", "scopes": ["accounts:write"]}
    answer = client.post("/api/auth/keys", given, "application/json")
    assert answer.status_code == 400
    (text,) = [text for texts in answer.json()["errors"].values() for text in texts]
    assert text.startswith(
        'There is no scope "accounts:write". There are audit:export, audit:read,'
    )


def test_the_page_says_what_is_wrong_beside_its_field(client, console, owner):
    console(owner)
    given = {
        "label": "nightly-build",
        "scopes": ["reliability:read"],
        "days": "30",
        "networks": "10.0.0.1/8",
    }
    page = client.post("/account/keys/new/", given).content.decode()
    assert "10.0.0.1/8 names a host within a network; write 10.0.0.0/8" in page
    assert APIKey.objects.count() == 0


def test_the_pages_rotate_and_revoke(client, console, owner):
    console(owner)
    old, _ = make(owner)
    page = client.post(f"/account/keys/{old.pk}/rotate/", {"grace_hours": "24"})
    assert RAW.search(page.content.decode())
    assert APIKey.objects.valid().count() == 2
    assert client.get(f"/account/keys/{old.pk}/revoke/").status_code == 200
    answer = client.post(f"/account/keys/{old.pk}/revoke/")
    assert answer.headers["Location"] == "/account/keys/"
    assert APIKey.objects.valid().count() == 1
    assert AuditRecord.objects.get(action="api_key.revoked").actor_name == "ada"


def test_a_stale_sign_in_is_led_to_the_proof_before_the_form(client, console, owner):
    console(owner)
    forget_the_proof(owner)
    answer = client.get("/account/keys/new/")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/account/confirm/")


@pytest.mark.parametrize("role", ["user", "operator", "auditor"])
def test_who_may_have_no_keys_makes_none(client, make_user, role):
    user = make_user(role=role)
    client.force_login(user)
    assert client.get("/account/keys/new/").status_code == 403
    assert client.post("/account/keys/new/", NEW).status_code == 403
    assert post(client, "/api/auth/keys", NEW).status_code == 403
    assert "/account/keys/" not in client.get("/account/").content.decode()
    assert APIKey.objects.count() == 0


def test_the_console_revokes_after_asking(client, console, make_user, owner):
    key, _ = make(owner)
    console(make_user(role="admin"))
    data = {"action": "revoke", "_selected_action": [str(key.pk)]}
    asked = client.post("/admin/accounts/apikey/", data)
    assert "Revoke these keys?" in asked.content.decode()
    assert APIKey.objects.valid().count() == 1
    client.post("/admin/accounts/apikey/", {**data, "confirmed": "yes"})
    assert APIKey.objects.valid().count() == 0
    assert client.get(f"/admin/accounts/apikey/{key.pk}/change/").status_code == 200


def test_an_auditor_is_offered_no_revocation(client, console, make_user, owner):
    key, _ = make(owner)
    console(make_user(role="auditor"))
    data = {"action": "revoke", "_selected_action": [str(key.pk)], "confirmed": "yes"}
    client.post("/admin/accounts/apikey/", data)
    assert APIKey.objects.valid().count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_thread_writes_uses_by_itself(owner, settings):
    from accounts.authentication.api_keys import principal_of, uses
    from tests.support.platform import wait_until

    settings.API_KEY_USE_SECONDS = 0.05
    key, raw = make(owner)
    uses.forget()
    try:
        assert principal_of(raw, "192.0.2.1") is not None
        wait_until(
            lambda: APIKey.objects.get(pk=key.pk).last_used_address == "192.0.2.1",
            seconds=5,
            what="the use",
        )
    finally:
        uses.forget()
