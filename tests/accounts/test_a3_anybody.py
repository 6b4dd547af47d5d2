"""Whose sessions hold: lists of everybody's, ending all of them, tokens that end with them."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts import hashers
from accounts.authentication import tokens as authentication
from accounts.models import Installation, UserSession
from accounts.selectors import people
from accounts.services import revocation, sessions, tokens
from accounts.services.installations import ensure
from audit.models import AuditRecord
from audit.services.acts import unwatched
from core.actors import SYSTEM
from core.errors import NotSignedInError
from core.memory import Memory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(make_user):
    return make_user(username="boss", role="admin")


def bearer(user):
    return {"authorization": f"Bearer {sessions.begin_api(user=user, device='CLI').access}"}


def test_admins_see_who_is_signed_in(api, admin, make_user):
    ann, headers = make_user(username="ann", role="engineer"), bearer(admin)
    mine = sessions.begin_api(user=ann, methods=("pwd", "otp", "mfa")).session
    for name in ("ann", str(ann.pk)):
        told = api.get("/api/auth/admin/sessions", {"user": name}, headers=headers).json()
        assert [(one["id"], one["username"]) for one in told["results"]] == [(str(mine.pk), "ann")]
    assert told["results"][0]["methods"] == ["pwd", "otp", "mfa"]
    everybody = api.get("/api/auth/admin/sessions", headers=headers).json()["results"]
    assert [one["username"] for one in everybody] == ["ann", "boss"]
    assert everybody[1]["device"] == "CLI"
    nobody = api.get("/api/auth/admin/sessions", {"user": "nobody"}, headers=headers)
    assert nobody.status_code == 404
    assert api.get("/api/auth/admin/sessions", headers=bearer(ann)).status_code == 403


@pytest.mark.parametrize(("kind", "idle"), [("api", 13 * 60), ("web", 31)])
def test_who_was_idle_too_long_is_listed_nowhere(api, client, admin, kind, idle):
    headers = bearer(admin)
    with unwatched("set-up of a test"):
        old = UserSession.objects.create(
            user=admin,
            kind=kind,
            expires_at=timezone.now() + timedelta(hours=1),
            last_seen_at=timezone.now() - timedelta(minutes=idle),
        )
    assert people.standing_of(admin).sessions == 1
    for path in ("/api/auth/sessions", "/api/auth/admin/sessions"):
        told = api.get(path, headers=headers).json()
        rows = told["results"] if isinstance(told, dict) else told
        assert str(old.pk) not in {one["id"] for one in rows}
    client.force_login(admin)
    page = client.get("/admin/accounts/usersession/", {"state": "over"}).content.decode()
    assert "Idle too long" in page


def test_all_of_everybody_end_from_the_machine(api, client, admin, capsys):
    ensure()
    pair = sessions.begin_api(user=admin)
    client.force_login(admin)
    call_command("end_all_sessions", reason="The laptop was stolen.")
    assert "Ended 2 sessions, and all tokens." in capsys.readouterr().out
    headers = {"authorization": f"Bearer {pair.access}"}
    assert api.get("/api/auth/me", headers=headers).status_code == 401
    assert client.get("/account/").status_code == 302
    with pytest.raises(NotSignedInError):
        tokens.refresh(pair.refresh)
    assert Installation.objects.get().generation > 1
    told = AuditRecord.objects.filter(action="sessions.ended").get()
    assert (told.reason, told.actor_key) == ("The laptop was stolen.", "end_all_sessions")


def test_an_access_token_ends_with_its_session(admin):
    pair = sessions.begin_api(user=admin)
    with unwatched("set-up of a test"):
        UserSession.objects.update(expires_at=timezone.now() + timedelta(seconds=100))
    later = tokens.refresh(pair.refresh)
    assert later.expires_in in {99, 100}
    principal = authentication.principal_of(later.access)
    claims, _ = authentication.verified.get(next(iter(authentication.verified._known)))
    assert principal is not None
    assert claims.expires_at <= time.time() + 100


def test_the_console_tells_of_sessions_and_of_what_was_ended(client, admin, make_user):
    ann = make_user(username="ann", role="engineer")
    pair = sessions.begin_api(user=ann, methods=("pwd", "otp", "mfa"), device="CLI")
    revocation.end_session(actor=SYSTEM, session=pair.session, reason="Lost laptop.")
    client.force_login(admin)
    for name, told in (
        ("usersession", "API, by password and app"),
        ("accesschange", "Lost laptop."),
        ("signingkey", "Signs"),
    ):
        page = client.get(f"/admin/accounts/{name}/")
        assert page.status_code == 200
        assert told in page.content.decode()


def child(work) -> int:
    """Return with what a forked process ends."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(work())
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_fork_in_the_middle_of_things_blocks_nobody():
    memory = Memory[str, str]()
    with memory._lock, authentication.verified._lock:
        assert (
            child(
                lambda: (
                    0
                    if memory._lock.acquire(timeout=1)
                    and authentication.verified._lock.acquire(timeout=1)
                    else 7
                )
            )
            == 0
        )
    with hashers.turn():

        def places() -> int:
            return sum(hashers._turns.places.acquire(timeout=0.1) for _ in range(hashers.AT_ONCE))

        assert child(places) == hashers.AT_ONCE
