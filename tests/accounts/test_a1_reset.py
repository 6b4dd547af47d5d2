"""Giving somebody a new password: what it ends, and whom it must not lock out."""

import io
import re

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.db import connection

from accounts.actors import actor_for
from accounts.models import APIKey, Passkey, RecoveryCode, TOTPDevice, User
from accounts.services import api_keys, lockout, login, users
from audit.models import AuditRecord
from audit.services.acts import act
from core import tracing
from core.actors import SYSTEM
from core.errors import InvalidTransitionError
from notifications.models import Event
from tests.accounts.factors import PASSWORD, RP, with_app, with_codes, with_passkey

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def root(make_user):
    return make_user(username="root", role="admin")


def reset(*args):
    out = io.StringIO()
    call_command("reset_password", *args, stdout=out)
    return out.getvalue()


def sign_in(name, password, *, address="192.0.2.1"):
    with tracing.bind(address=address):
        return login.attempt(username=name, password=password, place="login", rp=RP)


def test_the_only_admin_is_not_left_with_a_password_that_runs_out(root, make_user):
    make_user(username="away", role="admin", is_active=False)
    make_user(username="new", role="admin", must_change_password=True)

    for reset_it in (
        lambda: users.reset_password(actor=SYSTEM, user_id=root.pk),
        lambda: users.reset_passwords(actor=SYSTEM, user_ids=[root.pk]),
    ):
        with pytest.raises(InvalidTransitionError, match=r"manage\.py reset_password root"):
            reset_it()

    assert sign_in("root", PASSWORD).user == root
    assert not AuditRecord.objects.filter(action="password.reset").exists()


def test_two_admins_cannot_be_reset_together(root, make_user):
    other = make_user(username="other", role="admin")

    with pytest.raises(InvalidTransitionError):
        users.reset_passwords(actor=SYSTEM, user_ids=[root.pk, other.pk])

    assert sign_in("root", PASSWORD).user == root
    assert sign_in("other", PASSWORD).user == other
    made = users.reset_passwords(actor=SYSTEM, user_ids=[other.pk])
    assert sign_in("other", made["other"]).user == other


def test_the_machine_itself_may_reset_the_only_admin(root):
    assert "one-time password" in reset("root")


def test_a_reset_lets_whoever_was_locked_out_try_at_once(root, make_user):
    ann = make_user(username="ann")
    for _ in range(5):
        with tracing.bind(address="192.0.2.1"):
            lockout.wrong(lockout.reserve_password("ann", name="ann"))

    password = users.reset_password(actor=SYSTEM, user_id=ann.pk)

    assert sign_in("ann", password).user == ann


def test_no_hash_is_computed_while_a_transaction_is_open(monkeypatch, root, make_user):
    made = []

    def encode(password):
        made.append(connection.in_atomic_block)
        return make_password(password)

    monkeypatch.setattr(users, "make_password", encode)
    ann, _ = users.create_user(actor=SYSTEM, username="ann", roles=["user"])
    users.reset_password(actor=SYSTEM, user_id=ann.pk)
    users.reset_passwords(actor=SYSTEM, user_ids=[ann.pk, make_user().pk])

    assert made == [False] * 4


def test_the_command_removes_second_factors_that_were_lost(root):
    with_app(root)
    with_passkey(root)
    with_codes(root)

    told = reset("root", "--remove-second-factors")

    password = re.search(r"one-time password (\S+)", told)[1]
    assert "root has no second factor any more" in told
    assert sign_in("root", password).methods == ("pwd",)
    for kind in (TOTPDevice, Passkey, RecoveryCode):
        assert not kind.objects.exists()
    written = AuditRecord.objects.get(action="second_factor.reset")
    assert (written.actor_kind, written.target_id) == ("command", str(root.pk))
    assert Event.objects.get(kind="access.mfa_removed").title == (
        "root lost a second factor: all second factors"
    )


def test_keys_go_on_unless_they_are_ended_too(root, make_user):
    ann = make_user(username="ann", role="engineer")
    bob = make_user(username="bob", role="engineer")
    for person in (ann, ann, bob):
        api_keys.create(
            actor=actor_for(person), owner_id=person.pk, label="x", scopes=["reliability:read"]
        )

    reset("ann")
    assert APIKey.objects.filter(owner=ann, revoked_at=None).count() == 2

    assert "API keys ended: 2" in reset("ann", "--end-api-keys")
    assert APIKey.objects.filter(owner=ann, revoked_at=None).count() == 0
    assert APIKey.objects.filter(owner=bob, revoked_at=None).count() == 1
    assert AuditRecord.objects.filter(action="api_key.revoked").count() == 2


def test_a_reset_within_a_larger_act_is_undone_with_it(root, make_user):
    ann = make_user(username="ann")

    def fail():
        with act():
            users.reset_password(actor=SYSTEM, user_id=ann.pk)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert User.objects.get(pk=ann.pk).must_change_password is False
    assert sign_in("ann", PASSWORD).user == ann
