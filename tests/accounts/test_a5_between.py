"""Between two steps of signing in: what was proven holds only for what it was proven of."""

import pytest
from django.contrib.auth.models import Group

from accounts.actors import actor_for
from accounts.models import LoginChallenge, RolePolicy, UserSession
from accounts.selectors import access
from accounts.services import challenges, devices, login, passwords, sessions, users
from audit.services.acts import unwatched
from core.actors import SYSTEM
from core.errors import NotSignedInError
from tests.accounts.factors import (
    ORIGIN,
    PASSWORD,
    RP,
    code_of,
    with_app,
    with_codes,
    with_passkey,
)

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "quite another long secret"
LOGIN = {"username": "ann", "password": PASSWORD}


@pytest.fixture
def ann(make_user):
    return make_user(username="ann", role="operator")


def post(api, path, body, **headers):
    return api.post(f"/api/auth/{path}", body, format="json", HTTP_HOST="localhost", **headers)


def change(ann):
    mine = sessions.begin_api(user=ann).session
    passwords.change_own(actor=actor_for(ann), user=ann, password=NEW, keep=mine.pk)


def reset(ann):
    users.reset_password(actor=SYSTEM, user_id=ann.pk)


@pytest.mark.parametrize("act", [change, reset])
def test_another_password_ends_a_sign_in_that_waits_for_its_second_step(api, ann, act):
    seed = with_app(ann)
    token = post(api, "login", LOGIN).json()["mfa_token"]
    act(ann)
    held = UserSession.objects.filter(revoked_at=None).count()

    answer = post(api, "mfa", {"mfa_token": token, "code": code_of(seed)})

    assert answer.status_code == 401
    assert answer.json()["detail"] == "The sign-in took too long or was used. Begin again."
    assert UserSession.objects.filter(revoked_at=None).count() == held


def test_a_reset_forgets_the_browsers_that_were_known(ann):
    cookie = devices.remember("", "ann", epoch=ann.epoch)
    assert devices.known(cookie, "ann", epoch=ann.epoch)

    reset(ann)
    ann.refresh_from_db()

    assert not devices.known(cookie, "ann", epoch=ann.epoch)


def test_asking_for_a_passkey_stores_nothing(api, ann):
    for _ in range(20):
        assert post(api, "passkey/begin", {}).status_code == 200

    assert LoginChallenge.objects.count() == 0


def test_an_answer_to_a_signed_challenge_counts_once(api, ann):
    held = with_passkey(ann)
    LoginChallenge.objects.all().delete()
    asked = post(api, "passkey/begin", {}).json()
    body = {"token": asked["token"], "response": held.prove(asked["options"], origin=ORIGIN)}
    body["response"]["clientExtensionResults"] = {}

    def answer():
        return login.by_passkey(
            token=body["token"], response=body["response"], rp=RP, place="login"
        )

    assert answer().user == ann
    with pytest.raises(NotSignedInError, match="was used"):
        answer()
    assert LoginChallenge.objects.count() == 1


def test_a_signed_challenge_is_ours_and_young(ann, monkeypatch):
    token = challenges.sign(kind=challenges.Kind.PASSKEY, state={"challenge": "x"})
    assert challenges.read_signed(token, challenges.Kind.PASSKEY) == {"challenge": "x"}
    assert len(token) < challenges.LONGEST_SIGNED

    assert challenges.read_signed(token, challenges.Kind.MFA) is None
    assert challenges.read_signed(f"{token}x", challenges.Kind.PASSKEY) is None
    assert challenges.read_signed("x" * 2_000, challenges.Kind.PASSKEY) is None
    monkeypatch.setattr(challenges, "SECONDS", -1)
    assert challenges.read_signed(token, challenges.Kind.PASSKEY) is None


def test_a_passkey_is_not_offered_where_it_cannot_work(api, ann):
    with_app(ann)
    with_passkey(ann)
    with_codes(ann)

    here = api.post("/api/auth/login", LOGIN, format="json", HTTP_HOST="127.0.0.1").json()
    there = post(api, "login", LOGIN).json()

    assert (here["methods"], "passkey" in here) == (["otp", "recovery"], False)
    assert (there["methods"], "passkey" in there) == (["passkey", "otp", "recovery"], True)


@pytest.mark.parametrize("name", ["code", "otp"])
def test_a_code_comes_along_by_either_name(api, ann, name):
    seed = with_app(ann)

    answer = post(api, "login", {**LOGIN, name: code_of(seed)})

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["login", "mfa", "passkey", "passkey/begin", "refresh"])
@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_the_wrong_method_of_a_public_route_is_told(api, db, path, method):
    answer = getattr(api, method)(f"/api/auth/{path}")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")


def test_the_wrong_method_of_any_other_route_tells_strangers_nothing(api, db):
    assert api.put("/api/auth/me").status_code == 401


def test_titles_of_problems_end_without_a_full_stop():
    from core.errors import DomainError

    def below(kind):
        return {kind, *(it for child in kind.__subclasses__() for it in below(child))}

    assert [kind for kind in below(DomainError) if kind.title.endswith(".")] == []


def test_a_superuser_is_asked_for_no_less_than_an_admin(api, make_user):
    root = make_user(username="ann", is_superuser=True, is_staff=True)
    with unwatched("a test"):
        RolePolicy.objects.update_or_create(
            group=Group.objects.get(name="admin"),
            defaults={"mfa_required": True, "networks": ["192.0.2.0/24"]},
        )
    access.reset()

    known = access.snapshot(root.pk)
    assert (known.mfa_required, known.networks, known.roles) == (
        True,
        (("192.0.2.0/24",),),
        frozenset(),
    )
    told = post(api, "login", LOGIN, REMOTE_ADDR="192.0.2.5").json()
    assert told["due"] == "enrolment-required"
    assert post(api, "login", LOGIN, REMOTE_ADDR="203.0.113.9").status_code == 403
