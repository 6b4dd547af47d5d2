"""Fixtures that tests of every app share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.db.backends.base.operations import BaseDatabaseOperations
from rest_framework.test import APIClient

from core import volatile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.test import Client

    from accounts.models import User


@pytest.fixture(autouse=True)
def _fresh_access() -> Iterator[None]:
    """Forget what is known of people and tokens, and close the feed's connection."""
    from accounts.authentication import tokens
    from accounts.selectors import access

    yield
    access.reset()
    tokens.forget()


@pytest.fixture(autouse=True)
def _fresh_limits() -> None:
    """Forget what earlier tests have counted."""
    from accounts.selectors import api_keys, dashboard_keys, networks

    for known in (api_keys, dashboard_keys, networks):
        known.forget()
    volatile.reset()
    if settings.REDIS_URL:
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            client.flushdb()
    for pattern in ("volatile.sqlite3*", "audit/head.json", "audit/spill/*.jsonl"):
        for file in settings.OPS_DATA_DIR.glob(pattern):
            file.unlink()


@pytest.fixture(autouse=True, scope="session")
def _flush_past_the_guards() -> Iterator[None]:
    """Let the flush between tests empty the audit log, whose triggers refuse that to everybody.

    The triggers are back after it: a flush ends as a migration does.
    """
    from audit.services import guards
    from audit.services.acts import unwatched

    flush = BaseDatabaseOperations.execute_sql_flush

    def flush_all(operations: BaseDatabaseOperations, statements: list[str]) -> None:
        with unwatched("the flush of a test"):
            guards.open_log(operations.connection.alias)
            flush(operations, statements)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", flush_all)
        yield


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    """Return a function that makes a person with permissions or roles: `make_user("app.perm")`."""
    from accounts.models import User
    from audit.services.acts import unwatched

    def make(*permissions: str, role: str | None = None, **fields: Any) -> User:
        with unwatched("set-up of a test"):
            return _made(*permissions, role=role, **fields)

    def _made(*permissions: str, role: str | None, **fields: Any) -> User:
        number = User.objects.count() + 1
        fields.setdefault("username", f"person{number}")
        user = User.objects.create_user(password="a good long password", **fields)
        if role is not None:
            user.groups.add(Group.objects.get(name=role))
            user.is_staff = role != "user"
            user.save(update_fields=["is_staff"])
        for permission in permissions:
            app, _, codename = permission.partition(".")
            user.user_permissions.add(
                Permission.objects.get(content_type__app_label=app, codename=codename)
            )
        return user

    return make


@pytest.fixture
def api() -> APIClient:
    """Return an API client that has signed in as nobody."""
    return APIClient()


@pytest.fixture
def console(client: Client) -> Callable[[User], Client]:
    """Return a function that signs a person in to the console."""

    def sign_in(user: User) -> Client:
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Return the list of tasks that were rung, in order."""
    rung: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr("core.jobs.send", lambda name, kwargs: rung.append((name, kwargs)))
    return rung
