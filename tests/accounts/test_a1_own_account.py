"""One's own account: everybody has one, and reaches nobody else's (A1, A3)."""

import pytest
from django.test import Client

from accounts.models import User, UserSession
from accounts.roles import ROLES
from audit.models import AuditRecord

pytestmark = pytest.mark.django_db
OWN = ["/account/", "/account/password/", "/account/mfa/", "/account/sessions/", "/account/keys/"]


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("role", [*sorted(ROLES), None])
def test_everybody_opens_their_own_account(make_user, role):
    client = signed_in(make_user(role=role))
    for path in OWN:
        assert client.get(path).status_code == 200, path


def test_who_is_not_staff_gets_a_page_that_leads_nowhere_else(make_user):
    page = signed_in(make_user(role="user")).get("/account/").content.decode()
    assert 'id="sidebar"' not in page
    assert 'href="/admin/"' not in page
    assert "Sign out" in page


def test_a_person_changes_their_own_address_and_no_more(make_user):
    user = make_user(role="user", username="ada")
    client = signed_in(user)
    given = {"email": "ada@example.org", "is_superuser": "on", "is_staff": "on", "username": "root"}
    assert client.post("/account/", given).status_code == 302
    user.refresh_from_db()
    assert (user.email, user.username) == ("ada@example.org", "ada")
    assert not user.is_superuser
    assert not user.is_staff
    assert AuditRecord.objects.filter(action="user.updated", actor_name="ada").count() == 1


def test_a_wrong_address_is_told_and_saved_nowhere(make_user):
    user = make_user(role="user")
    page = signed_in(user).post("/account/", {"email": "nonsense"}).content.decode()
    assert "Nothing was saved" in page
    user.refresh_from_db()
    assert user.email == ""


def test_sessions_name_device_addresses_and_which_is_this_one(make_user):
    user = make_user(role="user")
    client, other = signed_in(user), signed_in(user)
    page = client.get("/account/sessions/").content.decode()
    assert page.count("This one") == 1
    assert page.count(">End<") == 1
    assert "End all others" in page
    assert other.get("/account/").status_code == 200


def test_one_session_is_ended_by_its_owner(make_user, django_capture_on_commit_callbacks):
    user = make_user(role="user")
    client = signed_in(user)
    this = UserSession.objects.get()
    other = signed_in(user)
    ending = UserSession.objects.exclude(pk=this.pk).get()
    with django_capture_on_commit_callbacks(execute=True):
        client.post(f"/account/sessions/{ending.pk}/end/")
    ending.refresh_from_db()
    assert ending.revoked_at is not None
    assert other.get("/account/").status_code == 302
    assert client.get("/account/").status_code == 200


def test_all_others_are_ended_and_this_one_goes_on(make_user, django_capture_on_commit_callbacks):
    user = make_user(role="user")
    client = signed_in(user)
    this = UserSession.objects.get()
    others = [signed_in(user) for _ in range(3)]
    stranger = signed_in(make_user(role="user"))
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/account/sessions/end-others/")
    assert list(UserSession.objects.filter(user=user, revoked_at=None)) == [this]
    assert [one.get("/account/").status_code for one in others] == [302, 302, 302]
    assert client.get("/account/").status_code == 200
    assert stranger.get("/account/").status_code == 200


def test_nobody_sees_or_ends_another_persons_session(make_user):
    signed_in(make_user(role="engineer", username="grace"))
    theirs = UserSession.objects.get()
    client = signed_in(make_user(role="admin", username="ada"))
    assert client.post(f"/account/sessions/{theirs.pk}/end/").status_code == 404
    page = client.get("/account/sessions/").content.decode()
    assert str(theirs.pk) not in page
    theirs.refresh_from_db()
    assert theirs.revoked_at is None


def test_state_changes_only_by_post(make_user):
    client = signed_in(make_user(role="user"))
    this = UserSession.objects.get()
    for path in ("/account/sessions/end-others/", f"/account/sessions/{this.pk}/end/"):
        assert client.get(path).status_code == 405
    assert UserSession.objects.filter(revoked_at=None).count() == 1


def test_a_post_without_a_token_changes_nothing(make_user):
    user = make_user(role="user")
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.post("/account/", {"email": "ada@example.org"}).status_code == 403
    assert User.objects.get(pk=user.pk).email == ""
