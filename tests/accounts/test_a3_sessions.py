"""Sessions: listed, ended by their owner or an admin, and never kept in the clear."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.utils import timezone

from accounts.authentication.sessionstore import SessionStore
from accounts.models import AccessChange, UserSession
from accounts.selectors import access
from accounts.services import revocation, sessions
from accounts.services.tokens import refresh
from accounts.services.users import update_user
from audit.models import AuditRecord
from core.actors import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)

HOME = "/admin/"


@pytest.fixture
def person(make_user):
    return make_user(role="engineer")


@pytest.fixture
def browser(console, person):
    return console(person)


@pytest.fixture
def bearer(person):
    """Return headers of a program of the same person."""
    return {"authorization": f"Bearer {sessions.begin_api(user=person, device='laptop').access}"}


def is_in(client) -> bool:
    return client.get(HOME).status_code == 200


def cookie(client) -> str:
    return str(client.cookies[django_settings.SESSION_COOKIE_NAME].value)


# Cookies


def test_signing_in_makes_a_session_that_is_listed(browser, person):
    session = UserSession.objects.get()
    assert (session.user, session.kind, session.methods) == (person, "web", "pwd")
    assert session.expires_at - session.created_at == pytest.approx(
        timedelta(hours=8), abs=timedelta(seconds=5)
    )
    started = AuditRecord.objects.get(action="session.started")
    assert (started.actor_key, started.target_id) == (str(person.pk), str(session.pk))


def test_the_database_and_the_cache_hold_no_cookie(browser):
    value = cookie(browser)
    assert is_in(browser)
    row = Session.objects.get()
    assert row.session_key != value
    assert UserSession.objects.get().session_key == row.session_key
    assert value not in row.session_data
    assert not Session.objects.filter(session_key=value).exists()
    digest = hashlib.sha256(value.encode()).digest()
    assert row.session_key.encode() == urlsafe_b64encode(digest[:30])
    assert cache.get(f"session/{value}") is None


def test_what_stands_in_the_database_opens_nothing(browser, client):
    client.cookies[django_settings.SESSION_COOKIE_NAME] = Session.objects.get().session_key
    assert not is_in(client)


def test_signing_out_ends_it(browser):
    browser.post("/admin/logout/")
    assert UserSession.objects.get().revoked_reason == "Signed out."
    assert Session.objects.count() == 0
    assert not is_in(browser)


def test_a_cookie_from_before_is_over(browser):
    # Sessions of an earlier version have no id of a sign-in.
    store = SessionStore(cookie(browser))
    del store[sessions.SID]
    store.save()
    assert not is_in(browser)


def test_half_an_hour_without_use_ends_it(browser):
    store = SessionStore(cookie(browser))
    store[sessions.SEEN] -= 1_780
    store.save()
    assert is_in(browser)
    store[sessions.SEEN] -= 20
    store.save()
    assert not is_in(browser)


def test_eight_hours_end_it_however_it_is_used(browser):
    store = SessionStore(cookie(browser))
    store[sessions.UNTIL] -= 8 * 3600
    store.save()
    assert not is_in(browser)


def test_the_last_use_is_written_once_a_minute(browser, django_assert_max_num_queries):
    before = UserSession.objects.get().last_seen_at
    for _ in range(3):
        is_in(browser)
    assert UserSession.objects.get().last_seen_at == before
    long_ago = timezone.now() - timedelta(seconds=61)
    UserSession.objects.update(last_seen_at=long_ago)
    store = SessionStore(cookie(browser))
    store[sessions.SEEN] -= 61
    store.save()
    is_in(browser)
    assert UserSession.objects.get().last_seen_at > before


def test_signing_in_again_ends_the_sign_in_before(browser, person):
    browser.force_login(person)
    assert [
        *UserSession.objects.values_list("revoked_reason", flat=True).order_by("created_at")
    ] == [
        "Signed in again.",
        "",
    ]
    assert is_in(browser)


def test_another_person_in_the_same_browser_ends_the_first_ones(browser, make_user):
    first = UserSession.objects.get()
    browser.force_login(make_user(role="operator"))
    first.refresh_from_db()
    assert first.revoked_at is not None
    assert is_in(browser)


# Ending


@pytest.mark.parametrize("how", ["one", "all", "everything", "disabled", "role"])
def test_what_is_ended_is_out_at_once(browser, api, bearer, person, how):
    assert is_in(browser)
    assert api.get("/api/auth/me", headers=bearer).status_code == 200
    if how == "one":
        for session in UserSession.objects.all():
            revocation.end_session(actor=SYSTEM, session=session, reason="test")
    elif how == "all":
        revocation.end_all(actor=SYSTEM, user_id=person.pk, reason="test")
    elif how == "everything":
        revocation.end_everything(actor=SYSTEM, reason="test")
    else:
        roles = [] if how == "role" else ["engineer"]
        update_user(actor=SYSTEM, user_id=person.pk, email="", roles=roles, is_active=how == "role")
    assert not is_in(browser)
    assert api.get("/api/auth/me", headers=bearer).status_code == 401
    assert UserSession.objects.filter(revoked_at=None).count() == 0


def test_one_is_kept(browser, api, bearer, person):
    kept = UserSession.objects.get(kind="web")
    assert revocation.end_all(actor=SYSTEM, user_id=person.pk, reason="test", keep=kept.pk) == 1
    assert is_in(browser)
    assert api.get("/api/auth/me", headers=bearer).status_code == 401


def test_a_thousand_sessions_are_ended_by_one_row(person):
    now = timezone.now()
    UserSession.objects.bulk_create(
        UserSession(user=person, kind="api", expires_at=now + timedelta(days=1))
        for _ in range(1_000)
    )
    assert revocation.end_all(actor=SYSTEM, user_id=person.pk, reason="test") == 1_000
    assert AccessChange.objects.count() == 1
    assert UserSession.objects.filter(revoked_at=None).count() == 0


def test_ending_twice_changes_nothing(browser):
    session = UserSession.objects.get()
    assert revocation.end_session(actor=SYSTEM, session=session, reason="first")
    before = AuditRecord.objects.count(), AccessChange.objects.count()
    assert not revocation.end_session(actor=SYSTEM, session=session, reason="second")
    assert (AuditRecord.objects.count(), AccessChange.objects.count()) == before
    assert UserSession.objects.get().revoked_reason == "first"


def test_a_session_that_begins_after_all_were_ended_counts_anew(person):
    pair = sessions.begin_api(user=person)
    revocation.end_all(actor=SYSTEM, user_id=person.pk, reason="test")
    person.refresh_from_db()
    later = sessions.begin_api(user=person)
    assert access.snapshot(person.pk).epoch.endswith(".1")
    assert pair.session.pk != later.session.pk


# By API


def test_own_sessions_by_api(api, browser, bearer, make_user):
    sessions.begin_api(user=make_user())
    told = api.get("/api/auth/sessions", headers=bearer).json()
    assert [(one["kind"], one["device"], one["current"]) for one in told] == [
        ("api", "laptop", True),
        ("web", "", False),
    ]


def test_one_of_ones_own(api, browser, bearer):
    web = UserSession.objects.get(kind="web")
    assert api.delete(f"/api/auth/sessions/{web.pk}", headers=bearer).status_code == 204
    assert not is_in(browser)
    assert api.get("/api/auth/me", headers=bearer).status_code == 200


def test_not_another_ones(api, bearer, make_user):
    other = sessions.begin_api(user=make_user()).session
    for session_id in (other.pk, uuid4()):
        assert api.delete(f"/api/auth/sessions/{session_id}", headers=bearer).status_code == 404
    other.refresh_from_db()
    assert other.revoked_at is None


@pytest.mark.parametrize(("query", "left"), [("", 0), ("?others=true", 1)])
def test_all_of_ones_own(api, browser, bearer, query, left):
    assert api.delete(f"/api/auth/sessions{query}", headers=bearer).status_code == 204
    assert UserSession.objects.filter(revoked_at=None).count() == left
    assert api.get("/api/auth/me", headers=bearer).status_code == (200 if left else 401)


def test_an_admin_ends_a_token_a_session_and_a_person(api, make_user, person):
    admin = {"authorization": f"Bearer {sessions.begin_api(user=make_user(role='admin')).access}"}
    one, two, three = (sessions.begin_api(user=person) for _ in range(3))

    def post(route: str, **body) -> int:
        return api.post(f"/api/auth/admin/{route}", body, headers=admin).status_code

    def holds(pair) -> bool:
        headers = {"authorization": f"Bearer {pair.access}"}
        return api.get("/api/auth/me", headers=headers).status_code == 200

    assert post("revoke", token=one.access, reason="found in a log") == 204
    assert [holds(pair) for pair in (one, two, three)] == [False, True, True]
    # Its session may fetch another.
    assert holds(refresh(one.refresh))
    assert post("revoke", session=str(two.session.pk), reason="lost laptop") == 204
    assert [holds(pair) for pair in (one, two, three)] == [False, False, True]
    assert post("revoke", token=three.refresh, reason="lost laptop") == 204
    assert not holds(three)
    four = sessions.begin_api(user=person)
    assert post("revoke-user", user=person.username.upper(), reason="left") == 200
    assert not holds(four)
    listed = api.get("/api/auth/admin/revocations", headers=admin).json()["results"]
    assert [row["kind"] for row in listed] == ["user", "sid", "sid", "jti"]
    assert {row["reason"] for row in listed} == {"found in a log", "lost laptop", "left"}


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "x"},
        {"token": "a.b.c", "reason": "x"},
        {"jti": "x", "reason": "x"},
        {"session": str(uuid4()), "jti": "0" * 32, "reason": "x"},
        {"jti": "0" * 32},
        {"jti": "0" * 32, "reason": "x", "colour": "red"},
    ],
)
def test_what_an_admin_must_say(api, make_user, body):
    api.force_authenticate(make_user(role="admin"))
    assert api.post("/api/auth/admin/revoke", body).status_code == 400
    assert AccessChange.objects.count() == 0


@pytest.mark.parametrize("role", ["operator", "auditor", "user", "engineer"])
def test_others_end_nobody(api, make_user, person, role):
    session = sessions.begin_api(user=person).session
    api.force_authenticate(make_user(role=role))
    body = {"session": str(session.pk), "reason": "x"}
    assert api.post("/api/auth/admin/revoke", body).status_code == 403
    body = {"user": person.username, "reason": "x"}
    assert api.post("/api/auth/admin/revoke-user", body).status_code == 403
    session.refresh_from_db()
    assert session.revoked_at is None
    seen = api.get("/api/auth/admin/revocations").status_code
    assert seen == (200 if role == "auditor" else 403)
