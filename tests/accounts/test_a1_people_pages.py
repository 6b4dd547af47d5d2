"""What admins do about people: and the last admin stays (A1)."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts.models import TOTPDevice, User, UserSession
from accounts.services import api_keys, lockout, users
from audit.models import AuditRecord
from audit.services.acts import unwatched
from core.actors import SYSTEM
from core.errors import InvalidTransitionError

pytestmark = pytest.mark.django_db
LIST = "/admin/accounts/user/"


@pytest.fixture
def admin(make_user):
    return make_user(role="admin", username="root")


@pytest.fixture
def grace(make_user):
    return make_user(role="engineer", username="grace")


def do(client, action, *people, confirmed="yes"):
    data = {"action": action, "_selected_action": [str(user.pk) for user in people]}
    return client.post(LIST, {**data, "confirmed": confirmed}, follow=True).content.decode()


def test_the_page_of_a_person_tells_how_the_account_is_guarded(console, admin, grace):
    Client().force_login(grace)
    api_keys.create(actor=SYSTEM, owner_id=grace.pk, label="CI", scopes=["reliability:read"])
    page = console(admin).get(f"{LIST}{grace.pk}/change/").content.decode()
    for text in ("How the account is guarded", "Second factor", "Sessions", "API keys", "CI"):
        assert text in page
    for action in ("disable", "end_sessions", "reset_passwords"):
        assert f'value="{action}"' in page
    # What would change nothing is not offered.
    for action in ("unlock", "enable", "reset_second_factors"):
        assert f'value="{action}"' not in page


def test_an_auditor_sees_the_same_and_may_do_nothing(console, make_user, grace):
    client = console(make_user(role="auditor"))
    page = client.get(f"{LIST}{grace.pk}/change/").content.decode()
    assert "How the account is guarded" in page
    assert 'name="_selected_action"' not in page
    do(client, "disable", grace)
    assert User.objects.get(pk=grace.pk).is_active


def test_disabling_asks_first_ends_sessions_and_is_undone_by_enabling(console, admin, grace):
    theirs = Client()
    theirs.force_login(grace)
    client = console(admin)
    assert "Disable grace?" in do(client, "disable", grace, confirmed="")
    assert User.objects.get(pk=grace.pk).is_active
    assert "Disabled: grace." in do(client, "disable", grace)
    found = User.objects.get(pk=grace.pk)
    assert not found.is_active
    assert found.disabled_at is not None
    assert theirs.get("/account/").status_code == 302
    assert UserSession.objects.filter(user=grace, revoked_at=None).count() == 0
    do(client, "enable", grace)
    found.refresh_from_db()
    assert (found.is_active, found.disabled_at) == (True, None)
    actions = AuditRecord.objects.filter(target_id=str(grace.pk)).values_list("action", flat=True)
    assert {"user.disabled", "sessions.ended", "user.enabled"} <= set(actions)


def test_losing_a_role_ends_sessions_and_gaining_one_does_not(admin, grace):
    theirs = Client()
    theirs.force_login(grace)
    gained = ["engineer", "operator"]
    users.update_user(actor=SYSTEM, user_id=grace.pk, email="", roles=gained, is_active=True)
    assert theirs.get("/account/").status_code == 200
    users.update_user(actor=SYSTEM, user_id=grace.pk, email="", roles=["operator"], is_active=True)
    assert theirs.get("/account/").status_code == 302


def test_ending_all_sessions(console, admin, grace):
    theirs = Client()
    theirs.force_login(grace)
    do(console(admin), "end_sessions", grace)
    assert theirs.get("/account/").status_code == 302
    assert User.objects.get(pk=grace.pk).is_active


def test_a_locked_person_is_shown_and_unlocked(console, admin, grace):
    for _ in range(5):
        lockout.wrong(lockout.reserve_password("grace", name="grace"))
    client = console(admin)
    assert lockout.locked_until("grace") is not None
    assert 'value="unlock"' in client.get(f"{LIST}{grace.pk}/change/").content.decode()
    do(client, "unlock", grace)
    assert lockout.locked_until("grace") is None


def test_second_factors_are_removed(console, admin, grace):
    with unwatched("set-up of a test"):
        TOTPDevice.objects.create(user=grace, sealed_seed="x", confirmed_at=timezone.now())
    client = console(admin)
    assert (
        'value="reset_second_factors"' in client.get(f"{LIST}{grace.pk}/change/").content.decode()
    )
    assert "On" in client.get(LIST).content.decode()
    do(client, "reset_second_factors", grace)
    assert TOTPDevice.objects.count() == 0


def test_several_people_one_refused_by_name(console, admin, grace):
    page = do(console(admin), "disable", admin, grace)
    assert "Not done for root: The last active admin stays one" in page
    assert "Disabled: grace." in page
    assert User.objects.get(pk=admin.pk).is_active


@pytest.mark.parametrize("act", [users.disable_user])
def test_the_last_admin_is_never_disabled(admin, act):
    with pytest.raises(InvalidTransitionError):
        act(actor=SYSTEM, user_id=admin.pk)
    assert User.objects.get().is_active
    assert AuditRecord.objects.filter(action="user.disabled").count() == 0


def test_acts_on_people_ask_for_a_fresh_proof(console, admin, grace):
    client = console(admin)
    with unwatched("set-up of a test"):
        UserSession.objects.update(created_at=timezone.now() - timezone.timedelta(hours=1))
    answer = client.post(LIST, {"action": "disable", "_selected_action": [str(grace.pk)]})
    assert answer.headers["Location"].startswith("/account/confirm/")
    assert client.get(f"{LIST}add/").headers["Location"].startswith("/account/confirm/")
    # A form that was filled in meanwhile is not lost.
    answer = client.post(f"{LIST}{grace.pk}/change/", {"email": "g@example.org", "roles": []})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'href="/account/confirm/" target="_blank"' in page
    assert 'value="g@example.org"' in page
    found = User.objects.get(pk=grace.pk)
    assert (found.email, found.groups.get().name) == ("", "engineer")
    answer = client.post(f"{LIST}add/", {"username": "eve", "email": ""})
    assert (answer.status_code, User.objects.filter(username="eve").count()) == (200, 0)
    # Who may save is asked before anything is typed; who only looks is not.
    answer = client.get(f"{LIST}{grace.pk}/change/")
    assert answer.headers["Location"].startswith("/account/confirm/")


@pytest.mark.parametrize("kind", ["user", "role", "installation"])
def test_who_only_looks_needs_no_fresh_proof(console, make_user, grace, kind):
    page = {
        "user": f"{LIST}{grace.pk}/change/",
        "role": f"/admin/auth/group/{Group.objects.get(name='user').pk}/change/",
        "installation": "/admin/accounts/installation/",
    }[kind]
    answers = []
    for role in ("auditor", "admin"):
        client = console(make_user(role=role))
        with unwatched("set-up of a test"):
            UserSession.objects.update(created_at=timezone.now() - timezone.timedelta(hours=1))
        answers.append(client.get(page))
    assert answers[0].status_code == 200
    assert answers[1].status_code == 302
    assert answers[1].headers["Location"].startswith("/account/confirm/?next=%2Fadmin%2F")


def test_roles_are_told_in_plain_words_by_area(console, admin):
    group = Group.objects.get(name="engineer")
    page = console(admin).get(f"/admin/auth/group/{group.pk}/change/").content.decode()
    assert "Own API keys" in page
    assert "make API keys of one&#x27;s own" in page
    assert "state segment" not in page
    assert "Can add" not in page
