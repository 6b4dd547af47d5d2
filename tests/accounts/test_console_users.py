"""People in the console: made, shown a password once, changed by services."""

import re

import pytest
from django.contrib.auth.models import Group

from accounts.models import User
from audit.models import AuditRecord

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(console, make_user):
    return console(make_user(role="admin", username="root"))


def _role(name):
    return str(Group.objects.get(name=name).pk)


def test_a_person_is_made_and_the_password_shown_once(admin):
    form = {"username": "Ada", "email": "ada@example.org", "roles": [_role("engineer")]}
    page = admin.post("/admin/accounts/user/add/", form)
    password = re.search(r'class="secret">([^<]+)<', page.content.decode())[1]

    ada = User.objects.get(username="ada")
    assert ada.check_password(password)
    assert "no-store" in page["Cache-Control"]
    assert password not in admin.get(f"/admin/accounts/user/{ada.pk}/change/").content.decode()
    assert AuditRecord.objects.filter(action="user.created", actor_name="root").count() == 1


def test_a_name_that_exists_is_an_error_beside_the_field(admin):
    form = {"username": "ROOT", "email": ""}
    page = admin.post("/admin/accounts/user/add/", form)
    assert "There is a user of this name." in page.content.decode()
    assert User.objects.count() == 1


def test_roles_are_changed_through_the_service(admin, make_user):
    ada = make_user(role="analyst", username="ada")
    form = {"email": "", "roles": [_role("operator")], "is_active": "on"}
    admin.post(f"/admin/accounts/user/{ada.pk}/change/", form)
    assert [group.name for group in ada.groups.all()] == ["operator"]
    assert AuditRecord.objects.filter(action="user.updated").count() == 1


def test_the_last_admin_is_told_and_stays(admin):
    root = User.objects.get()
    page = admin.post(
        f"/admin/accounts/user/{root.pk}/change/", {"email": "", "roles": []}, follow=True
    )
    assert "The last active admin stays one" in page.content.decode()
    assert [group.name for group in root.groups.all()] == ["admin"]


def test_a_reset_asks_first(admin, make_user):
    ada = make_user(role="analyst", username="ada")
    before = ada.password
    choice = {"action": "reset_passwords", "_selected_action": [str(ada.pk)]}

    asked = admin.post("/admin/accounts/user/", choice)
    ada.refresh_from_db()
    assert "stop working at once" in asked.content.decode()
    assert ada.password == before

    told = admin.post("/admin/accounts/user/", {**choice, "confirmed": "yes"})
    password = re.search(r'class="secret">([^<]+)<', told.content.decode())[1]
    ada.refresh_from_db()
    assert ada.check_password(password)


@pytest.mark.parametrize("role", ["operator", "manager", "engineer", "analyst"])
def test_other_roles_do_not_see_people(console, make_user, role):
    client = console(make_user(role=role))
    assert client.get("/admin/accounts/user/").status_code == 403


def test_an_auditor_sees_people_and_changes_nothing(console, make_user):
    ada = make_user(role="analyst", username="ada")
    client = console(make_user(role="auditor"))
    assert client.get(f"/admin/accounts/user/{ada.pk}/change/").status_code == 200
    form = {"email": "new@example.org", "roles": [_role("admin")], "is_active": "on"}
    assert client.post(f"/admin/accounts/user/{ada.pk}/change/", form).status_code == 403
    choice = {"action": "reset_passwords", "_selected_action": [str(ada.pk)], "confirmed": "yes"}
    before = ada.password
    client.post("/admin/accounts/user/", choice)
    ada.refresh_from_db()
    assert (ada.email, ada.password) == ("", before)


def test_signing_in_and_out_is_on_the_record(client, make_user):
    make_user(role="admin", username="root")
    client.post("/admin/login/", {"username": "root", "password": "a good long password"})
    client.post("/admin/logout/")
    actions = list(AuditRecord.objects.values_list("action", flat=True))
    assert actions == ["session.ended", "session.started"]


@pytest.mark.parametrize(
    ("name", "noted"), [("root", "root"), ("my-password-by-mistake", "unknown")]
)
def test_a_refused_sign_in_is_on_the_record_without_telling_a_mistyped_password(
    client, make_user, name, noted
):
    make_user(role="admin", username="root")
    client.post("/admin/login/", {"username": name, "password": "wrong"})
    row = AuditRecord.objects.get()
    assert (row.action, row.outcome) == ("session.refused", "denied")
    assert f'"username":"{noted}"' in row.payload
