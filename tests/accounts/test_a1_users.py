"""People and roles: every act on the record, the last admin stays (A1)."""

import json
import threading

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from accounts.models import User
from accounts.services import passwords, users
from audit.models import AuditRecord
from core.actors import SYSTEM
from core.errors import InvalidInputError, InvalidTransitionError

pytestmark = pytest.mark.django_db


def _last():
    return AuditRecord.objects.first()


def test_a_new_person_gets_a_one_time_password_and_a_row_on_the_record():
    user, password = users.create_user(
        actor=SYSTEM, username="Ada", email="ada@example.org", roles=["engineer"]
    )

    assert user.username == "ada"
    assert user.check_password(password)
    assert user.must_change_password
    assert User.objects.get().is_staff
    assert (_last().action, _last().target_id) == ("user.created", str(user.pk))
    assert password not in _last().payload


def test_one_time_passwords_differ_and_are_long():
    made = {users.one_time_password() for _ in range(100)}
    assert len(made) == 100
    assert {len(password) for password in made} == {24}


@pytest.mark.parametrize("name", ["ADA", "ada", "\N{FULLWIDTH LATIN SMALL LETTER A}da"])
def test_a_name_that_looks_the_same_is_the_same(name):
    users.create_user(actor=SYSTEM, username="ada")
    with pytest.raises(InvalidInputError) as refused:
        users.create_user(actor=SYSTEM, username=name)
    assert refused.value.errors == {"username": ["There is a user of this name."]}
    assert User.objects.count() == 1
    assert AuditRecord.objects.count() == 1


@pytest.mark.parametrize("name", ["", " ", "<script>", "a" * 151, "a\0b", "a b"])
def test_a_hostile_name_is_refused(name):
    with pytest.raises(InvalidInputError):
        users.create_user(actor=SYSTEM, username=name)
    assert User.objects.count() == 0
    assert AuditRecord.objects.count() == 0


def test_an_unknown_role_changes_nothing():
    with pytest.raises(InvalidInputError):
        users.create_user(actor=SYSTEM, username="ada", roles=["emperor"])
    assert User.objects.count() == 0


def test_the_role_user_does_not_open_the_console():
    user, _ = users.create_user(actor=SYSTEM, username="ada", roles=["user"])
    assert not user.is_staff


def test_a_change_of_roles_tells_before_and_after():
    users.create_user(actor=SYSTEM, username="root", roles=["admin"])
    user, _ = users.create_user(actor=SYSTEM, username="ada", roles=["analyst"])
    users.update_user(actor=SYSTEM, user_id=user.pk, email="", roles=["operator"], is_active=True)
    payload = json.loads(AuditRecord.objects.get(action="user.updated").payload)
    assert payload == {"before": {"roles": ["analyst"]}, "after": {"roles": ["operator"]}}


@pytest.mark.parametrize(("roles", "is_active"), [(["operator"], True), (["admin"], False)])
def test_the_last_admin_stays(roles, is_active):
    user, _ = users.create_user(actor=SYSTEM, username="root", roles=["admin"])
    with pytest.raises(InvalidTransitionError):
        users.update_user(actor=SYSTEM, user_id=user.pk, email="", roles=roles, is_active=is_active)
    user = User.objects.get()
    assert user.is_active
    assert [group.name for group in user.groups.all()] == ["admin"]


def test_an_admin_who_never_signed_in_does_not_count():
    root, _ = users.create_user(actor=SYSTEM, username="root", roles=["admin"])
    users.create_user(actor=SYSTEM, username="bob", roles=["admin"])
    with pytest.raises(InvalidTransitionError):
        users.update_user(actor=SYSTEM, user_id=root.pk, email="", roles=[], is_active=True)
    assert User.objects.filter(groups__name="admin").count() == 2


def test_roles_from_a_generator_are_told_as_they_are_given():
    users.create_user(actor=SYSTEM, username="root", roles=(name for name in ["admin"]))
    assert json.loads(_last().payload)["after"]["roles"] == ["admin"]


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_demote_each_other_at_once_leave_one():
    for name in ("admin",):
        Group.objects.get_or_create(name=name)
    pair = [
        users.create_user(actor=SYSTEM, username=name, roles=["admin"])[0] for name in ("a", "b")
    ]
    User.objects.update(must_change_password=False)
    refused = []

    def demote(user):
        try:
            users.update_user(actor=SYSTEM, user_id=user.pk, email="", roles=[], is_active=True)
        except InvalidTransitionError:
            refused.append(user.username)
        finally:
            connection.close()

    threads = [threading.Thread(target=demote, args=(user,)) for user in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 1
    assert User.objects.filter(groups__name="admin").count() == 1


@pytest.mark.parametrize("password", ["short", "password1234", "1234567890", "adaadaadaada"])
def test_a_weak_password_is_refused(password, settings):
    user, _ = users.create_user(actor=SYSTEM, username="adaadaadaada")
    before = user.password
    with pytest.raises(InvalidInputError):
        passwords.change_own(actor=SYSTEM, user=user, password=password)
    assert User.objects.get().password == before
    assert User.objects.get().must_change_password


def test_choosing_a_password_ends_the_one_time_one():
    user, first = users.create_user(actor=SYSTEM, username="ada")
    passwords.change_own(actor=SYSTEM, user=user, password="correct horse battery")
    user = User.objects.get()
    assert not user.check_password(first)
    assert (user.must_change_password, user.password_expires_at) == (False, None)
    assert AuditRecord.objects.filter(action="password.changed").count() == 1


def test_hashes_are_argon2_with_bounded_memory(settings):
    from opsplatform.settings import PASSWORD_HASHERS

    settings.PASSWORD_HASHERS = PASSWORD_HASHERS
    user, password = users.create_user(actor=SYSTEM, username="ada")
    assert "argon2id$v=19$m=19456,t=2,p=1$" in user.password
    assert user.check_password(password)
