"""Refresh tokens: one chain for each session, and what a copy of one leads to."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from accounts import signals
from accounts.engine import refresh as chain
from accounts.models import User, UserSession
from accounts.services import revocation, sessions
from accounts.services.tokens import refresh
from audit.models import AuditRecord
from core.actors import SYSTEM
from core.errors import NotSignedInError

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def person(make_user):
    return make_user(role="engineer")


@pytest.fixture
def tokens(person):
    return sessions.begin_api(user=person, methods=("pwd",), device="laptop")


def row() -> dict:
    return UserSession.objects.values().get()


def refused(token: str) -> None:
    with pytest.raises(NotSignedInError) as caught:
        refresh(token)
    assert (caught.value.status, caught.value.message) == (401, "Sign in again.")


def works(api, access: str) -> bool:
    answer = api.get("/api/auth/me", headers={"authorization": f"Bearer {access}"})
    return answer.status_code == 200


def earlier(seconds: float) -> None:
    UserSession.objects.update(rotated_at=timezone.now() - timedelta(seconds=seconds))


def test_each_exchange_gives_the_next_pair(api, tokens):
    first = refresh(tokens.refresh)
    second = refresh(first.refresh)
    assert len({tokens.refresh, first.refresh, second.refresh}) == 3
    assert len({tokens.access, first.access, second.access}) == 3
    assert all(works(api, one.access) for one in (tokens, first, second))
    assert row()["refresh_generation"] == 2


def test_the_database_holds_no_token(tokens):
    second = refresh(tokens.refresh)
    kept = str(row())
    for token in (tokens.refresh, second.refresh):
        secret = token.split("_")[4]
        assert secret not in kept
        assert token not in kept


def test_the_one_before_gives_the_same_answer_for_ten_seconds(tokens):
    first = refresh(tokens.refresh)
    earlier(9)
    before = row()
    assert refresh(tokens.refresh).refresh == first.refresh
    assert row() == before


def test_after_ten_seconds_it_ends_the_session(api, tokens):
    heard = []
    signals.refresh_reused.connect(lambda **told: heard.append(told), weak=False, dispatch_uid="t")
    try:
        first = refresh(tokens.refresh)
        earlier(11)
        refused(tokens.refresh)
    finally:
        signals.refresh_reused.disconnect(dispatch_uid="t")
    assert row()["revoked_reason"] == "A refresh token was used twice."
    refused(first.refresh)
    assert not works(api, first.access)
    assert AuditRecord.objects.filter(action="refresh_token.reused").count() == 1
    assert [told["session"] for told in heard] == [str(tokens.session.pk)]


def test_an_older_one_ends_the_session_at_once(api, tokens):
    last = refresh(refresh(tokens.refresh).refresh)
    refused(tokens.refresh)
    assert row()["revoked_at"] is not None
    refused(last.refresh)
    assert not works(api, last.access)


def test_a_second_misuse_writes_nothing_more(tokens):
    refresh(refresh(tokens.refresh).refresh)
    refused(tokens.refresh)
    before = row(), AuditRecord.objects.count()
    refused(tokens.refresh)
    assert (row(), AuditRecord.objects.count()) == before


@pytest.mark.parametrize("place", [2, 3, 4, 5])
def test_a_forged_token_changes_nothing(tokens, place):
    refresh(tokens.refresh)
    parts = tokens.refresh.split("_", 5)
    parts[place] = {"2": "0" * 32, "3": "7", "4": "A" * 43, "5": "A" * 22}[str(place)]
    before = row()
    refused("_".join(parts))
    assert row() == before


@pytest.mark.parametrize("text", ["", "opsr_", "x" * 1_000_000, "opsr_\0", "öpsr", "Bearer x"])
def test_what_is_no_token_changes_nothing(tokens, text):
    before = row()
    refused(text)
    assert row() == before


def test_two_exchanges_at_once_give_one_child(tokens):
    found: list[str] = []
    barrier = threading.Barrier(6)

    def exchange():
        barrier.wait()
        try:
            found.append(refresh(tokens.refresh).refresh)
        finally:
            connection.close()

    threads = [threading.Thread(target=exchange) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len({*found}) == 1
    assert row()["refresh_generation"] == 1
    assert row()["revoked_at"] is None


def test_the_session_ends_after_its_hours(tokens, settings):
    left = tokens.session.expires_at - timezone.now()
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)
    UserSession.objects.update(expires_at=timezone.now())
    refused(tokens.refresh)
    assert row()["refresh_generation"] == 0


def test_a_session_that_was_idle_for_twelve_hours_is_over(tokens):
    UserSession.objects.update(last_seen_at=timezone.now() - timedelta(hours=12, seconds=1))
    refused(tokens.refresh)


def test_its_length_is_the_operators_choice(person, settings):
    settings.OPS_SESSION_HOURS = 2
    session = sessions.begin_api(user=person).session
    assert session.expires_at - timezone.now() <= timedelta(hours=2)


def test_a_disabled_person_gets_nothing(tokens, person):
    User.objects.filter(pk=person.pk).update(is_active=False)
    refused(tokens.refresh)


def test_a_token_from_the_future_of_a_restored_database_ends_nothing(tokens):
    later = refresh(tokens.refresh)
    UserSession.objects.update(refresh_generation=0)
    refused(later.refresh)
    assert row()["revoked_at"] is None


def test_methods_are_those_of_the_row(api, tokens):
    UserSession.objects.update(methods="pwd,otp")
    fresh = refresh(tokens.refresh)
    told = api.get("/api/auth/me", headers={"authorization": f"Bearer {fresh.access}"}).json()
    assert told["methods"] == ["pwd", "otp"]


def test_a_pepper_that_was_replaced_still_opens_its_tokens(tokens):
    pepper = django_settings.KEYRING.current("REFRESH_PEPPER")
    assert chain.parse(tokens.refresh, ["another pepper", pepper]) is not None
    assert chain.parse(tokens.refresh, ["another pepper"]) is None


# By API


def test_by_api(api, tokens):
    answer = api.post("/api/auth/refresh", {"refresh": tokens.refresh})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 900)
    assert works(api, told["access"])
    assert told["session"] == str(tokens.session.pk)


def test_a_wrong_one_by_api(api):
    answer = api.post("/api/auth/refresh", {"refresh": "opsr_x"})
    assert (answer.status_code, answer.json()["detail"]) == (401, "Sign in again.")


def test_the_access_token_beside_it_may_have_run_out(api, tokens):
    headers = {"authorization": "Bearer run.out.long"}
    answer = api.post("/api/auth/refresh", {"refresh": tokens.refresh}, headers=headers)
    assert answer.status_code == 200


def test_signing_out_ends_both_tokens(api, tokens):
    headers = {"authorization": f"Bearer {tokens.access}"}
    assert api.post("/api/auth/logout", headers=headers).status_code == 204
    assert not works(api, tokens.access)
    refused(tokens.refresh)
    assert row()["revoked_reason"] == "Signed out."


def test_ending_everything_counts_generations_by_a_random_step(api, tokens):
    first = revocation.end_everything(actor=SYSTEM, reason="restored").generation
    assert not works(api, tokens.access)
    refused(tokens.refresh)
    assert revocation.end_everything(actor=SYSTEM, reason="restored").generation > first
