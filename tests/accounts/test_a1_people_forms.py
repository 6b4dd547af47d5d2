"""The forms of people, roles and networks: what is refused keeps what was typed (A1)."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import Installation, User
from audit.models import AuditRecord

pytestmark = pytest.mark.django_db
LIST = "/admin/accounts/user/"


@pytest.fixture
def admin(make_user):
    return make_user(role="admin", username="root")


@pytest.fixture
def grace(make_user):
    return make_user(role="engineer", username="grace")


def choose(*roles):
    return [str(Group.objects.get(name=role).pk) for role in roles]


def test_saving_a_person_never_disables_them(console, admin, grace):
    client = console(admin)
    page = client.get(f"{LIST}{grace.pk}/change/").content.decode()
    assert 'name="is_active"' not in page
    client.post(f"{LIST}{grace.pk}/change/", {"email": "g@example.org", "roles": choose("user")})
    grace.refresh_from_db()
    assert (grace.email, grace.is_active, grace.disabled_at) == ("g@example.org", True, None)
    assert [group.name for group in grace.groups.all()] == ["user"]


def test_the_form_says_what_taking_a_role_away_does(console, admin, grace):
    page = console(admin).get(f"{LIST}{grace.pk}/change/").content.decode()
    assert "Taking one away ends the person's sessions" in page


def test_what_the_service_refuses_stands_in_the_form_with_what_was_typed(console, admin):
    client = console(admin)
    sent = {"email": "new@example.org", "roles": choose("engineer")}
    answer = client.post(f"{LIST}{admin.pk}/change/", sent)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert page.count("The last active admin stays one") == 1
    assert 'value="new@example.org"' in page
    assert page.count("checked") == 1
    found = User.objects.get(pk=admin.pk)
    assert (found.email, [group.name for group in found.groups.all()]) == ("", ["admin"])
    assert AuditRecord.objects.filter(action="user.updated").count() == 0


def test_a_mistake_of_one_field_stands_beside_it_once_in_list_and_field(console, admin):
    client = console(admin)
    answer = client.post("/admin/accounts/installation/", {"networks": "10.0.0.0/8\nnonsense"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "10.0.0.0/8\nnonsense</textarea>" in page
    errors = answer.context["adminform"].form.errors
    assert "nonsense" in errors["networks"][0]
    assert len(errors["networks"]) == 1
    assert Installation.objects.get().console_networks == []


def test_a_name_that_exists_keeps_the_rest_of_the_form(console, admin):
    page = console(admin).post(f"{LIST}add/", {"username": "ROOT", "email": "r@example.org"})
    assert page.context["adminform"].form.errors == {"username": ["There is a user of this name."]}
    assert b'value="r@example.org"' in page.content
    assert User.objects.count() == 1


def test_a_role_is_called_a_role_when_it_was_saved(console, admin):
    key = Group.objects.get(name="analyst").pk
    answer = console(admin).post(
        f"/admin/auth/group/{key}/change/", {"networks": "", "mfa_required": "on"}, follow=True
    )
    page = answer.content.decode()
    assert "The role analyst was saved." in page
    assert "group" not in page.partition('id="toasts"')[2].partition("</ul>")[0]


def test_the_question_names_the_person_and_its_button_the_act(console, admin, grace):
    data = {"action": "disable", "_selected_action": [str(grace.pk)]}
    page = console(admin).post(LIST, data, headers={"Referer": f"http://testserver{LIST}x/?a=b"})
    body = page.content.decode()
    assert "Disable grace?" in body
    assert '<input type="submit" class="danger" value="Disable">' in body
    assert f'data-cancel href="{LIST}x/?a=b"' in body
    assert grace.is_active


def test_no_leads_to_the_list_when_the_person_came_from_elsewhere(console, admin, grace):
    data = {"action": "enable", "_selected_action": [str(grace.pk), str(admin.pk)]}
    page = console(admin).post(LIST, data, headers={"Referer": "https://elsewhere.example/"})
    body = page.content.decode()
    assert "Enable 2 people?" in body
    assert "<li>grace</li>" in body
    assert f'data-cancel href="{LIST}"' in body


def test_acts_that_change_nothing_are_not_offered(console, admin, grace):
    client = console(admin)
    page = client.get(f"{LIST}{grace.pk}/change/").content.decode()
    assert 'value="end_sessions"' not in page
    Client().force_login(grace)
    page = client.get(f"{LIST}{grace.pk}/change/").content.decode()
    assert 'value="end_sessions"' in page


def test_a_person_without_any_role_is_told_of(console, admin, make_user):
    nobody = make_user(username="nobody")
    page = console(admin).get(f"{LIST}{nobody.pk}/change/").content.decode()
    assert "without a role they have their own account and nothing else" in page
