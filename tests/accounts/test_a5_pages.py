"""Signing in on the console's pages: steps, cookies, enrolment, a fresh proof."""

import base64
import json
import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.engine.webauthn import party
from accounts.models import (
    Passkey,
    RecoveryCode,
    RolePolicy,
    TOTPDevice,
    UserSession,
)
from accounts.selectors import access
from accounts.services import recovery
from audit.models import AuditRecord
from audit.services.acts import unwatched
from tests.accounts.factors import PASSWORD, code_of, with_app, with_codes, with_passkey

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ann(make_user):
    return make_user(username="ann", role="operator")


def sign_in(client, *, name="ann", password=PASSWORD, next_="/admin/"):
    return client.post(f"/admin/login/?next={next_}", {"username": name, "password": password})


def require_factor(role):
    with unwatched("a test"):
        RolePolicy.objects.update_or_create(
            group=Group.objects.get(name=role), defaults={"mfa_required": True}
        )
    access.reset()


def hidden(answer, name):
    return re.search(rf'name="{name}" value="([^"]*)"', answer.content.decode())[1]


def age_session():
    past = timezone.now() - timedelta(minutes=6)
    with unwatched("a test"):
        UserSession.objects.update(created_at=past, reauth_at=None)


def test_a_password_alone_signs_in_and_the_browser_is_known_afterwards(client, ann):
    answer = sign_in(client, next_="/admin/reliability/service/")

    assert answer.headers["Location"] == "/admin/reliability/service/"
    device = client.cookies["ops_device"]
    assert (device["httponly"], device["samesite"], "ann" in device.value) == (True, "Lax", False)
    session = UserSession.objects.get()
    assert (session.kind, session.methods, session.mfa_at) == ("web", "pwd", None)
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "javascript:alert(1)"]
)
def test_nobody_is_led_elsewhere(client, ann, wanted):
    assert sign_in(client, next_=wanted).headers["Location"] == "/admin/"


def test_who_is_not_staff_lands_on_the_own_account(client, make_user):
    make_user(username="bob", role="user")

    assert sign_in(client, name="bob").headers["Location"] == "/account/"
    assert client.get("/account/").status_code == 200


def test_a_code_is_the_second_step(client, ann):
    seed = with_app(ann)
    answer = sign_in(client)
    assert answer.headers["Location"] == "/admin/login/second-step/?next=%2Fadmin%2F"
    assert client.cookies["ops_step"]["httponly"] is True
    assert client.get("/admin/").status_code == 302
    page = client.get(answer.headers["Location"]).content.decode()
    assert 'autocomplete="one-time-code"' in page

    wrong = client.post("/admin/login/second-step/?next=/admin/", {"code": "000000"})
    assert "That code did not work." in wrong.content.decode()
    right = client.post("/admin/login/second-step/?next=/admin/", {"code": code_of(seed)})

    assert right.headers["Location"] == "/admin/"
    session = UserSession.objects.get()
    assert (session.methods, session.mfa_at is not None) == ("pwd,otp,mfa", True)
    assert client.cookies["ops_step"].value == ""


def test_the_second_step_without_a_first_leads_back(client, ann):
    with_app(ann)

    assert client.get("/admin/login/second-step/").headers["Location"] == "/admin/login/"
    client.cookies["ops_step"] = "made-up"
    assert client.post("/admin/login/second-step/", {"code": "123456"}).status_code == 302
    assert UserSession.objects.count() == 0


def test_a_person_who_was_disabled_between_the_steps_begins_again(client, ann):
    seed = with_app(ann)
    sign_in(client)
    with unwatched("a test"):
        type(ann).objects.update(is_active=False)

    answer = client.post("/admin/login/second-step/", {"code": code_of(seed)})

    assert "Begin again" in answer.content.decode()
    assert UserSession.objects.count() == 0


def test_a_passkey_is_the_second_step(client, ann):
    authenticator = with_passkey(ann, rp=party("http://localhost"))
    client.defaults["HTTP_HOST"] = "localhost"
    sign_in(client)
    page = client.get("/admin/login/second-step/").content.decode()
    options = json.loads(re.search(r'data-options="([^"]+)"', page)[1].replace("&quot;", '"'))

    answer = client.post(
        "/admin/login/second-step/",
        {"response": json.dumps(authenticator.prove(options, origin="http://localhost"))},
    )

    assert answer.headers["Location"] == "/admin/"
    assert UserSession.objects.get().methods == "pwd,hwk,mfa"


def test_a_passkey_alone_signs_in(client, ann):
    authenticator = with_passkey(ann, rp=party("http://localhost"))
    client.defaults["HTTP_HOST"] = "localhost"
    begun = client.post("/admin/login/passkey/begin/").json()
    proof = authenticator.prove(begun["options"], origin="http://localhost")

    answer = client.post(
        "/admin/login/passkey/",
        {"token": begun["token"], "response": json.dumps(proof), "next": "/admin/"},
    )

    assert answer.headers["Location"] == "/admin/"
    assert UserSession.objects.get().methods == "hwk,user,mfa"


def test_an_address_instead_of_a_name_offers_no_passkeys(client, ann):
    client.defaults["HTTP_HOST"] = "127.0.0.1"

    assert "data-passkey" not in client.get("/admin/login/").content.decode()
    begun = client.post("/admin/login/passkey/begin/")
    assert (begun.status_code, "by its name" in begun.json()["detail"]) == (400, True)
    sign_in(client)
    assert (
        "Passkeys do not work at http://127.0.0.1" in client.get("/account/mfa/").content.decode()
    )


def test_enrolling_an_app_shows_codes_once_and_counts_as_proof(client, ann):
    sign_in(client)
    page = client.post("/account/mfa/app/")
    assert page.content.count(b"<svg") >= 1
    assert b"style=" not in page.content
    token = hidden(page, "token")
    secret = re.search(r">((?:[A-Z2-7]{4} ){7}[A-Z2-7]{4})<", page.content.decode())[1]
    seed = base64.b32decode(secret.replace(" ", ""))
    wrong = client.post("/account/mfa/app/", {"token": token, "code": "000000"})
    assert (b"not the present one" in wrong.content, hidden(wrong, "token")) == (True, token)

    shown = client.post(
        "/account/mfa/app/", {"token": token, "code": code_of(seed), "label": "Phone"}
    )

    assert len(re.findall(r"\b[a-z2-7]{4}(?:-[a-z2-7]{4}){3}\b", shown.content.decode())) >= 10
    assert shown.headers["Cache-Control"].find("no-store") >= 0
    assert TOTPDevice.objects.get().label == "Phone"
    assert (UserSession.objects.get().methods, recovery.left(ann)) == ("pwd,otp,mfa", 10)


def test_a_role_that_asks_for_a_factor_leads_to_it_and_nowhere_else(client, ann):
    require_factor("operator")
    sign_in(client)

    for path in ("/admin/", "/admin/reliability/service/", "/account/keys/", "/api/docs/"):
        assert client.get(path).headers["Location"] == "/account/mfa/"
    assert "Your role asks for a second factor" in client.get("/account/mfa/").content.decode()
    answer = client.get("/api/services/")
    assert (answer.status_code, answer.json()["type"]) == (
        403,
        "urn:opsplatform:problem:enrolment-required",
    )

    page = client.post("/account/mfa/app/")
    secret = re.search(r">((?:[A-Z2-7]{4} ){7}[A-Z2-7]{4})<", page.content.decode())[1]
    seed = base64.b32decode(secret.replace(" ", ""))
    client.post("/account/mfa/app/", {"token": hidden(page, "token"), "code": code_of(seed)})

    assert client.get("/admin/").status_code == 200
    assert client.get("/api/services/").status_code == 200


def test_a_requirement_that_comes_later_holds_at_once(client, ann):
    sign_in(client)
    assert client.get("/admin/").status_code == 200

    require_factor("operator")

    assert client.get("/admin/").headers["Location"] == "/account/mfa/"


def test_an_old_session_must_confirm_before_it_changes_factors(client, ann):
    sign_in(client)
    age_session()

    answer = client.post("/account/mfa/app/", headers={"Referer": "http://testserver/account/mfa/"})

    assert answer.headers["Location"] == "/account/confirm/?next=%2Faccount%2Fmfa%2F"
    wrong = client.post("/account/confirm/?next=/account/mfa/", {"password": "no"})
    assert "That is not your password." in wrong.content.decode()
    assert client.post("/account/mfa/app/").status_code == 302
    right = client.post("/account/confirm/?next=/account/mfa/", {"password": PASSWORD})
    assert right.headers["Location"] == "/account/mfa/"
    assert client.post("/account/mfa/app/").status_code == 200
    assert AuditRecord.objects.filter(action="session.confirmed").count() == 1


def test_whoever_has_a_factor_confirms_with_it_not_with_the_password(client, ann):
    seed = with_app(ann)
    sign_in(client)
    client.post("/admin/login/second-step/", {"code": code_of(seed)})
    age_session()
    page = client.get("/account/confirm/").content.decode()
    assert 'name="code"' in page
    assert 'name="password"' not in page

    client.post("/account/confirm/", {"password": PASSWORD})
    assert UserSession.objects.get().reauth_at is None
    client.post("/account/confirm/", {"code": code_of(seed, steps=1)})

    assert UserSession.objects.get().reauth_at is not None


def test_the_last_factor_of_a_role_that_asks_for_one_stays(client, ann):
    seed = with_app(ann)
    with_codes(ann)
    require_factor("operator")
    sign_in(client)
    client.post("/admin/login/second-step/", {"code": code_of(seed)})
    device = TOTPDevice.objects.get()

    answer = client.post(f"/account/mfa/{device.pk}/remove/", follow=True)

    assert "Add another one before you remove this" in answer.content.decode()
    assert TOTPDevice.objects.count() == 1


def test_removing_the_last_factor_takes_the_codes_and_other_sessions_along(client, ann):
    seed = with_app(ann)
    with_codes(ann)
    client.force_login(ann)
    other = UserSession.objects.get()
    here = type(client)()
    sign_in(here)
    here.post("/admin/login/second-step/", {"code": code_of(seed)})

    here.post(f"/account/mfa/{TOTPDevice.objects.get().pk}/remove/")

    assert (TOTPDevice.objects.count(), RecoveryCode.objects.count()) == (0, 0)
    other.refresh_from_db()
    assert other.revoked_at is not None
    assert here.get("/account/mfa/").status_code == 200


def test_nobody_touches_the_factor_of_another(client, ann, make_user):
    with_app(make_user(username="bob"))
    device = TOTPDevice.objects.get()
    sign_in(client)

    assert client.post(f"/account/mfa/{device.pk}/rename/", {"label": "mine"}).status_code in {
        302,
        404,
    }
    client.post(f"/account/mfa/{device.pk}/remove/")

    assert TOTPDevice.objects.get().label == "Phone"
    assert Passkey.objects.count() == 0


def test_a_locked_person_hears_when_to_try_again(client, ann):
    for _ in range(5):
        assert sign_in(client, password="wrong but long enough").status_code == 200

    answer = sign_in(client)

    assert (answer.status_code, 890 <= int(answer.headers["Retry-After"]) <= 900) == (429, True)
    assert "Try again in 15 minutes" in answer.content.decode()
    assert UserSession.objects.count() == 0
    assert settings.SESSION_COOKIE_NAME not in client.cookies
