"""A revocation holds in every process; who cannot know refuses; rights are those of now."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import OperationalError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from accounts.authentication import tokens
from accounts.models import AccessChange, User
from accounts.selectors import access
from accounts.services import revocation, sessions
from core import feed as feeds
from core.actors import SYSTEM
from tests.support.followers import Follower

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def person(make_user):
    return make_user(role="engineer")


@pytest.fixture
def bearer(person):
    return {"authorization": f"Bearer {sessions.begin_api(user=person).access}"}


def me(api, bearer):
    return api.get("/api/auth/me", headers=bearer)


# Cost


def test_a_token_that_is_known_costs_no_query(person, django_assert_num_queries):
    access_token = sessions.begin_api(user=person).access
    assert tokens.principal_of(access_token) is not None
    with django_assert_num_queries(0):
        for _ in range(100):
            found = tokens.principal_of(access_token)
            assert found is not None
            assert found.has_perm("reliability.view_service")


def test_the_memory_of_tokens_has_an_end(person, monkeypatch):
    monkeypatch.setattr(tokens, "MOST_REMEMBERED", 3)
    made = [sessions.begin_api(user=person).access for _ in range(5)]
    assert all(tokens.principal_of(one) for one in made)
    assert len(tokens.verified) == 3
    assert all(tokens.principal_of(one) for one in made)


# Rights


def test_rights_are_those_of_now(api, bearer, person):
    assert "reliability.add_service" in me(api, bearer).json()["permissions"]
    person.groups.clear()
    assert me(api, bearer).json()["permissions"] == []


def test_a_role_that_changes_changes_its_members(api, bearer):
    right = Permission.objects.get(codename="add_service")
    Group.objects.get(name="engineer").permissions.remove(right)
    assert "reliability.add_service" not in me(api, bearer).json()["permissions"]


def test_what_was_read_before_a_change_is_not_kept_after_it(person, monkeypatch):
    real = access._read

    def slow(user_id):
        read = real(user_id)
        # The change comes between the reading and the keeping.
        User.objects.filter(pk=user_id).update(is_superuser=True)
        access.standing.apply(AccessChange.Kind.RIGHTS, str(user_id))
        monkeypatch.setattr(access, "_read", real)
        return read

    monkeypatch.setattr(access, "_read", slow)
    assert not access.snapshot(person.pk).is_superuser
    assert access.snapshot(person.pk).is_superuser


def test_one_persons_change_leaves_others_remembered(person, make_user, django_assert_num_queries):
    other = make_user()
    access.snapshot(other.pk)
    revocation.tell(kind=AccessChange.Kind.RIGHTS, value=str(person.pk), actor=SYSTEM)
    with django_assert_num_queries(0):
        access.snapshot(other.pk)


# Who cannot know


@pytest.fixture
def blind(monkeypatch):
    """Return a function after which nobody can find out anything, for longer than allowed."""

    def become(seconds: float = 6) -> None:
        def away():
            raise OperationalError

        real = time.monotonic
        monkeypatch.setattr(access.feed, "_connected", away)
        monkeypatch.setattr(feeds.time, "monotonic", lambda: real() + seconds)

    return become


@pytest.mark.parametrize(("stale", "reading", "writing"), [(False, 503, 503), (True, 200, 503)])
def test_tokens_are_refused_while_nobody_can_know(
    api, bearer, blind, settings, stale, reading, writing
):
    settings.OPS_AUTH_STALE_READS = stale
    assert me(api, bearer).status_code == 200
    blind()
    answer = me(api, bearer)
    assert answer.status_code == reading
    assert api.post("/api/auth/logout", headers=bearer).status_code == writing
    if not stale:
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_console_is_closed_while_nobody_can_know(console, person, blind):
    browser = console(person)
    assert browser.get("/admin/").status_code == 200
    blind()
    browser.raise_request_exception = False
    assert browser.get("/admin/").status_code == 503
    assert browser.get("/api/auth/me").status_code == 503
    # What needs nobody to sign in goes on.
    assert browser.get("/healthz").status_code == 200


def test_a_moment_without_the_database_is_nothing(api, bearer, blind):
    assert me(api, bearer).status_code == 200
    blind(3)
    assert me(api, bearer).status_code == 200


# Several processes


class Processes(RuleBasedStateMachine):
    """Three processes end sessions, change their minds, crash and come back."""

    def __init__(self) -> None:
        super().__init__()
        self.running = [Follower() for _ in range(3)]
        self.ended: set[str] = set()
        self.never: set[str] = set()

    @rule(which=st.integers(0, 2))
    def end(self, which: int) -> None:
        sid = uuid4().hex
        self.running[which].ask("end", sid)
        self.ended.add(sid)

    @rule(which=st.integers(0, 2))
    def change_ones_mind(self, which: int) -> None:
        sid = uuid4().hex
        self.running[which].ask("end", sid, "roll-back")
        self.never.add(sid)

    @rule(which=st.integers(0, 2))
    def die_after_the_commit(self, which: int) -> None:
        sid = uuid4().hex
        self.running[which].ask("end", sid, "die")
        self.ended.add(sid)
        self.running[which].kill()
        self.running[which] = Follower()

    @rule(which=st.integers(0, 2))
    def know_at_once_what_one_did_oneself(self, which: int) -> None:
        sid = uuid4().hex
        self.running[which].ask("end", sid)
        assert self.running[which].ask("knows", sid) == sid
        self.ended.add(sid)

    @rule()
    def everybody_knows_after_a_second(self) -> None:
        time.sleep(1.0)
        for process in self.running:
            told = process.ask("knows", *self.ended, *self.never, "none").split(",")
            assert {*told} - {"none"} == self.ended

    def teardown(self) -> None:
        self.everybody_knows_after_a_second()
        for process in self.running:
            process.close()


@pytest.mark.fault
@pytest.mark.timeout(400)
def test_processes_agree_whatever_happens():
    run_state_machine_as_test(
        Processes,
        settings=settings(
            max_examples=4,
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=[*HealthCheck],
        ),
    )
