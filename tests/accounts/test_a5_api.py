"""Signing in and second factors by API."""

import base64
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.engine.webauthn import party
from accounts.models import Passkey, RolePolicy, TOTPDevice, UserSession
from accounts.selectors import access
from audit.models import AuditRecord
from audit.services.acts import unwatched
from tests.accounts.factors import PASSWORD, code_of, with_app, with_codes, with_passkey
from tests.support.authenticator import Authenticator

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "quite another long secret"


@pytest.fixture
def ann(make_user):
    return make_user(username="ann", role="operator")


@pytest.fixture
def call(api):
    """Return a function that posts, with a token if there is one."""

    def post(path, body=None, *, token="", method="post", host="localhost", **headers):
        if token:
            headers["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        send = getattr(api, method)
        return send(f"/api/auth/{path}", body or {}, format="json", HTTP_HOST=host, **headers)

    return post


def sign_in(call, **more):
    return call("login", {"username": "ann", "password": PASSWORD, **more})


def kind(answer):
    return answer.json()["type"].rpartition(":")[2]


def require_factor(role):
    with unwatched("a test"):
        RolePolicy.objects.update_or_create(
            group=Group.objects.get(name=role), defaults={"mfa_required": True}
        )
    access.reset()


def age_sessions():
    with unwatched("a test"):
        past = timezone.now() - timedelta(minutes=6)
        UserSession.objects.update(created_at=past, reauth_at=None)


def test_name_and_password_give_tokens(call, ann):
    answer = sign_in(call, device="laptop")

    told = answer.json()
    assert (answer.status_code, told["token_type"], told["expires_in"], told["due"]) == (
        200,
        "Bearer",
        900,
        "",
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert not answer.cookies
    session = UserSession.objects.get()
    assert (str(session.pk), session.kind, session.device, session.methods) == (
        told["session"],
        "api",
        "laptop",
        "pwd",
    )
    assert call("me", method="get", token=told["access"]).status_code == 200
    assert AuditRecord.objects.filter(action="session.started").count() == 1


def test_a_second_factor_is_asked_for_and_ends_the_sign_in(call, ann):
    seed = with_app(ann)
    with_codes(ann)
    asked = sign_in(call)
    told = asked.json()
    assert (asked.status_code, kind(asked), told["methods"], told["expires_in"]) == (
        401,
        "mfa-required",
        ["otp", "recovery"],
        300,
    )
    assert UserSession.objects.count() == 0

    wrong = call("mfa", {"mfa_token": told["mfa_token"], "code": "000000"})
    assert (wrong.status_code, kind(wrong)) == (401, "mfa-refused")
    right = call("mfa", {"mfa_token": told["mfa_token"], "code": code_of(seed)})

    assert right.status_code == 200
    assert UserSession.objects.get().methods == "pwd,otp,mfa"
    again = call("mfa", {"mfa_token": told["mfa_token"], "code": code_of(seed, steps=1)})
    assert (again.status_code, UserSession.objects.count()) == (401, 1)


def test_a_code_may_come_along_and_a_recovery_code_too(call, ann):
    seed = with_app(ann)
    codes = with_codes(ann)

    assert sign_in(call, otp=code_of(seed)).status_code == 200
    assert sign_in(call, otp=codes[0]).status_code == 200
    token = sign_in(call).json()["mfa_token"]
    assert call("mfa", {"mfa_token": token, "recovery_code": codes[1]}).status_code == 200


@pytest.mark.parametrize("body", [{}, {"code": "1", "recovery_code": "2"}, {"response": []}])
def test_one_proof_is_given_not_none_and_not_two(call, ann, body):
    with_app(ann)
    token = sign_in(call).json()["mfa_token"]

    assert call("mfa", {"mfa_token": token, **body}).status_code == 400


def test_a_passkey_answers_the_second_step_and_signs_in_alone(call, ann):
    authenticator = with_passkey(ann, rp=party("http://localhost"))
    asked = sign_in(call).json()
    proof = authenticator.prove(asked["passkey"], origin="http://localhost")
    answer = call("mfa", {"mfa_token": asked["mfa_token"], "response": proof})
    assert answer.status_code == 200

    begun = call("passkey/begin").json()
    proof = authenticator.prove(begun["options"], origin="http://localhost")
    answer = call("passkey", {"token": begun["token"], "response": proof})

    assert answer.status_code == 200
    assert set(UserSession.objects.values_list("methods", flat=True)) == {
        "pwd,hwk,mfa",
        "hwk,user,mfa",
    }


def test_an_app_is_enrolled_listed_renamed_and_removed(call, ann):
    token = sign_in(call).json()["access"]
    begun = call("devices/totp", token=token).json()
    assert begun["otpauth_url"].startswith("otpauth://totp/OpsPlatform:ann?secret=")
    assert begun["qr_svg"].startswith("<svg")
    seed = base64.b32decode(begun["secret"])
    body = {"token": begun["token"], "code": code_of(seed), "label": "Phone"}

    added = call("devices/totp/confirm", body, token=token)

    assert (added.status_code, added.json()["device"]["label"]) == (201, "Phone")
    assert len(added.json()["recovery_codes"]) == 10
    listed = call("devices", method="get", token=token).json()
    assert (listed["enrolled"], listed["recovery_codes_left"]) == (True, 10)
    path = f"devices/{added.json()['device']['id']}"
    renamed = call(path, {"label": "Old phone"}, method="patch", token=token)
    assert renamed.json()["label"] == "Old phone"
    assert call(path, method="delete", token=token).status_code == 204
    assert TOTPDevice.objects.count() == 0


def test_a_passkey_is_registered_by_api(call, ann):
    token = sign_in(call).json()["access"]
    begun = call("devices/passkeys", token=token).json()
    made = Authenticator().register(begun["options"], origin="http://localhost")
    body = {"token": begun["token"], "response": made, "label": "Key"}

    added = call("devices/passkeys/finish", body, token=token)

    assert (added.status_code, added.json()["device"]["kind"]) == (201, "passkey")
    assert call("devices/passkeys/finish", body, token=token).status_code == 409
    assert Passkey.objects.get().label == "Key"


def test_the_session_may_only_enrol_while_its_role_asks_for_a_factor(call, api, ann):
    require_factor("operator")
    told = sign_in(call).json()
    assert told["due"] == "enrolment-required"
    refused = api.get("/api/services/", HTTP_AUTHORIZATION=f"Bearer {told['access']}")
    assert (refused.status_code, kind(refused)) == (403, "enrolment-required")
    begun = call("devices/totp", token=told["access"]).json()
    seed = base64.b32decode(begun["secret"])
    body = {"token": begun["token"], "code": code_of(seed)}
    call("devices/totp/confirm", body, token=told["access"])

    fresh = call("refresh", {"refresh": told["refresh"]}).json()

    allowed = api.get("/api/services/", HTTP_AUTHORIZATION=f"Bearer {fresh['access']}")
    assert allowed.status_code == 200


def test_a_one_time_password_lets_nobody_do_anything_but_change_it(call, api, ann):
    with unwatched("a test"):
        type(ann).objects.update(must_change_password=True)
    told = sign_in(call).json()
    assert told["due"] == "password-change-required"
    refused = api.get("/api/services/", HTTP_AUTHORIZATION=f"Bearer {told['access']}")
    assert (refused.status_code, kind(refused)) == (403, "password-change-required")

    body = {"password": PASSWORD, "new_password": NEW}
    assert call("password", body, token=told["access"]).status_code == 204

    allowed = api.get("/api/services/", HTTP_AUTHORIZATION=f"Bearer {told['access']}")
    assert allowed.status_code == 200


def test_a_new_password_ends_the_other_sessions(call, ann):
    first, second = sign_in(call).json(), sign_in(call).json()
    body = {"password": PASSWORD, "new_password": NEW}

    assert call("password", body, token=first["access"]).status_code == 204

    assert call("me", method="get", token=first["access"]).status_code == 200
    assert call("me", method="get", token=second["access"]).status_code == 401
    assert sign_in(call).status_code == 401
    assert call("login", {"username": "ann", "password": NEW}).status_code == 200


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ("short", "12 characters"),
        ("password1234", "too common"),
        ("ann-ann-ann-12", "too little of it remains"),
        ("opsplatform-admin-2026", "too little of it remains"),
        ("x" * 1_025, "1,024 characters"),
        (PASSWORD, "another password than the one you have"),
    ],
)
def test_a_weak_password_is_refused_and_the_old_one_stays(call, ann, new, told):
    token = sign_in(call).json()["access"]

    answer = call("password", {"password": PASSWORD, "new_password": new}, token=token)

    assert answer.status_code == 400
    assert told in " ".join(answer.json()["errors"]["new_password"])
    assert sign_in(call).status_code == 200


def test_a_stolen_token_cannot_guess_the_password(call, ann):
    token = sign_in(call).json()["access"]
    body = {"password": "guess", "new_password": NEW}
    statuses = [call("password", body, token=token).status_code for _ in range(6)]

    assert statuses == [401, 401, 401, 401, 401, 429]


def test_an_old_session_must_prove_itself_before_dangerous_acts(call, ann):
    told = sign_in(call).json()
    age_sessions()
    refused = call("devices/totp", token=told["access"])
    assert (refused.status_code, kind(refused)) == (403, "step-up-required")

    assert call("reauth", {"password": "wrong"}, token=told["access"]).status_code == 401
    assert call("devices/totp", token=told["access"]).status_code == 403
    proven = call("reauth", {"password": PASSWORD}, token=told["access"])

    assert proven.json() == {"expires_in": 300}
    assert call("devices/totp", token=told["access"]).status_code == 200


def test_a_fresh_proof_by_passkey(call, ann):
    authenticator = with_passkey(ann, rp=party("http://localhost"))
    asked = sign_in(call).json()
    proof = authenticator.prove(asked["passkey"], origin="http://localhost")
    token = call("mfa", {"mfa_token": asked["mfa_token"], "response": proof}).json()["access"]
    age_sessions()
    begun = call("reauth/begin", token=token).json()
    proof = authenticator.prove(begun["options"], origin="http://localhost")
    body = {"token": begun["token"], "response": proof}

    assert call("reauth", {"password": PASSWORD}, token=token).status_code == 401
    assert call("reauth", body, token=token).status_code == 200
    assert call("reauth", body, token=token).status_code == 401


@pytest.mark.parametrize("path", ["devices/totp", "devices/recovery-codes", "password", "reauth"])
def test_strangers_enrol_nothing(call, ann, path):
    assert call(path, {"password": "x", "new_password": "y"}).status_code == 401


def test_codes_need_a_factor_first(call, ann):
    token = sign_in(call).json()["access"]

    assert call("devices/recovery-codes", token=token).status_code == 400
