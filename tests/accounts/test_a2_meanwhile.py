"""What changes between a proof and the session that it leads to, and in other processes."""

from __future__ import annotations

import threading
import time
from unittest import mock

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import Client

from accounts.actors import actor_for
from accounts.models import User, UserSession
from accounts.selectors import access
from accounts.services import (
    login,
    networks,
    passwords,
    revocation,
    sessions,
    signing_keys,
    tokens,
    users,
)
from accounts.services.installations import ensure
from core.actors import SYSTEM
from core.errors import NotSignedInError, UnavailableError
from core.memory import Memory
from tests.accounts.factors import PASSWORD, RP, with_app

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "quite another long secret"


@pytest.fixture
def ann(make_user):
    return make_user(username="ann", role="engineer")


def sign_in(api, **headers):
    given = {"username": "ann", "password": PASSWORD}
    return api.post("/api/auth/login", given, format="json", **headers)


# Between the proof and the session


def change(user):
    other = User.objects.get(pk=user.pk)
    keep = sessions.begin_api(user=other).session.pk
    passwords.change_own(actor=actor_for(other), user=other, password=NEW, keep=keep)


def reset(user):
    users.reset_password(actor=SYSTEM, user_id=user.pk)


def end(user):
    revocation.end_all(actor=SYSTEM, user_id=user.pk, reason="test")


def disable(user):
    users.update_user(actor=SYSTEM, user_id=user.pk, email="", roles=["engineer"], is_active=False)


@pytest.mark.parametrize("act", [change, reset, end, disable])
def test_who_has_changed_since_the_proof_gets_no_session(ann, act):
    found = login.attempt(username="ann", password=PASSWORD, place="login", rp=RP)
    act(ann)
    before = UserSession.objects.count()
    with pytest.raises(NotSignedInError):
        sessions.begin_api(user=found.user, methods=found.methods)
    assert UserSession.objects.count() == before


@pytest.mark.parametrize("act", [change, reset, end, disable])
def test_nor_a_cookie(ann, act):
    before = User.objects.get(pk=ann.pk)
    act(ann)
    counted = UserSession.objects.count()
    client = Client()
    with pytest.raises(NotSignedInError):
        client.force_login(before)
    assert UserSession.objects.count() == counted
    assert client.get("/account/").status_code == 302


def test_the_page_says_so(client, ann, monkeypatch):
    real = login.attempt

    def slow(**given):
        found = real(**given)
        end(ann)
        return found

    monkeypatch.setattr(login, "attempt", slow)
    given = {"username": "ann", "password": PASSWORD}
    answer = client.post("/admin/login/", given, follow=True)
    assert answer.redirect_chain == [("/admin/login/", 302)]
    assert UserSession.objects.count() == 0
    assert "Sign in again." in answer.content.decode()
    assert client.get("/account/").status_code == 302


def test_a_session_that_begins_while_everything_is_ended_is_ended(ann):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    ensure()
    sessions.begin_api(user=ann)
    real, ended = sessions._begin, threading.Event()

    def other():
        try:
            revocation.end_everything(actor=SYSTEM, reason="test")
        finally:
            ended.set()
            connection.close()

    thread = threading.Thread(target=other)

    def slow(*args):
        thread.start()
        # It must wait for the sign-in that is under way.
        assert not ended.wait(1)
        return real(*args)

    with mock.patch.object(sessions, "_begin", slow):
        made = sessions.begin_api(user=ann)
    thread.join()
    assert tokens.UserSession.objects.filter(revoked_at=None).count() == 0
    with pytest.raises(NotSignedInError):
        tokens.refresh(made.refresh)


def test_people_sign_in_side_by_side(ann, make_user):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    sessions.begin_api(user=ann)
    other = make_user()
    done = threading.Event()

    def sign_in_too():
        sessions.begin_api(user=other)
        connection.close()
        done.set()

    with transaction.atomic():
        sessions._hold_still(ann)
        threading.Thread(target=sign_in_too).start()
        assert done.wait(5)


# In other processes


@pytest.fixture
def elsewhere():
    """Return a function that acts as another process would: this one is not told of it."""

    def act(function, **given):
        with (
            mock.patch.object(access.feed, "tell", return_value=None),
            mock.patch.object(access.standing, "apply", return_value=None),
        ):
            function(**given)
        # So long a process may go on without a look.
        time.sleep(1.1)

    return act


def test_no_token_is_signed_by_a_key_that_was_revoked_elsewhere(api, ann, elsewhere):
    made = sessions.begin_api(user=ann)
    elsewhere(signing_keys.revoke, actor=SYSTEM, kid=signing_keys.signer().kid, reason="test")
    for answer in (
        sign_in(api),
        api.post("/api/auth/refresh", {"refresh": made.refresh}, format="json"),
    ):
        headers = {"authorization": f"Bearer {answer.json()['access']}"}
        assert api.get("/api/auth/me", headers=headers).status_code == 200


def test_a_sign_in_knows_the_networks_of_now(api, ann, elsewhere):
    assert sign_in(api).status_code == 200
    group = Group.objects.get(name="engineer").pk
    elsewhere(
        networks.set_role_policy,
        actor=SYSTEM,
        group_id=group,
        mfa_required=False,
        networks=["10.0.0.0/8"],
    )
    assert sign_in(api, REMOTE_ADDR="203.0.113.9").status_code == 403


def test_nobody_signs_in_while_nobody_can_know(api, ann):
    with_app(ann)
    made = sessions.begin_api(user=ann)
    access.reset()
    with mock.patch.object(type(access.feed), "_sync", return_value=False):
        for path, given in (
            ("login", {"username": "ann", "password": PASSWORD}),
            ("mfa", {"mfa_token": "x" * 40, "code": "123456"}),
            ("refresh", {"refresh": made.refresh}),
        ):
            answer = api.post(f"/api/auth/{path}", given, format="json")
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        with pytest.raises(UnavailableError):
            signing_keys.signer()
    assert UserSession.objects.get().refresh_generation == 0


# Inside a transaction


def test_rights_that_were_never_given_are_not_remembered(ann):
    def give_and_think_better():
        with transaction.atomic():
            users.update_user(
                actor=SYSTEM, user_id=ann.pk, email="", roles=["admin"], is_active=True
            )
            assert "admin" in access.snapshot(ann.pk).roles
            raise RuntimeError

    access.fresh()
    with pytest.raises(RuntimeError):
        give_and_think_better()
    assert access.snapshot(ann.pk).roles == {"engineer"}


def test_a_memory_keeps_nothing_that_may_be_undone():
    memory = Memory[str, str]()
    with transaction.atomic():
        assert memory.of("a", lambda: "inside") == "inside"
    assert memory.of("a", lambda: "outside") == "outside"
    assert memory.of("a", lambda: "again") == "outside"
    memory.forget("a")
    assert memory.of("a", lambda: "anew") == "anew"


def test_a_memory_grows_old_and_has_an_end():
    memory = Memory[int, int](most=2, seconds=0.05)
    assert [memory.of(one, lambda one=one: one) for one in (1, 2, 3)] == [1, 2, 3]
    assert memory.of(3, lambda: 4) == 3
    time.sleep(0.06)
    assert memory.of(3, lambda: 4) == 4


# Of requests beside each other


def test_a_proof_is_not_taken_back_by_a_request_beside_it(client, ann):
    from accounts.authentication.sessionstore import SessionStore
    from accounts.services import stepup

    group = Group.objects.get(name="engineer").pk
    client.force_login(ann)
    networks.set_role_policy(actor=SYSTEM, group_id=group, mfa_required=True, networks=[])
    beside = SessionStore(next(iter(client.cookies.values())).value)
    beside.get("anything")
    assert client.get("/api/notifications/feed").status_code == 403
    stepup.note(user=ann, session=UserSession.objects.get(), method="otp")
    beside[sessions.SEEN] = int(time.time())
    beside.save()
    assert client.get("/api/notifications/feed").status_code == 200
