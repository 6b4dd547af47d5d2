"""Who holds a connection that stays open, and what they may do now."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.db.models import Q
from django.utils import timezone

from accounts.models import User

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from uuid import UUID

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who opened a connection, and with what; the same for all connections of one sign-in.

    `key` is the same for all connections of one person or key. Without a session it stays valid
    as long as the process lives.
    """

    key: str
    name: str
    role: str
    user_id: UUID | None = None
    session: str = ""
    password: bytes = b""


def password_mark(encoded: str) -> bytes:
    """Return what changes with a person's password and tells nothing about it."""
    return hashlib.sha256(encoded.encode()).digest()


def role_names(user: User) -> str:
    """Return a person's roles as one label."""
    if user.is_superuser:
        return "superuser"
    return "+".join(sorted(user.groups.values_list("name", flat=True))) or "none"


def granted(user_ids: Collection[UUID], asked: Collection[str]) -> dict[UUID, frozenset[str]]:
    """Return which of the permissions asked for each person has, by roles or directly."""
    wanted = Q()
    for name in asked:
        app, _, codename = name.partition(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    found: dict[UUID, set[str]] = {key: set() for key in user_ids}
    for owner in ("group__user", "user"):
        rows = Permission.objects.filter(wanted, **{f"{owner}__in": user_ids}).order_by()
        for key, app, codename in rows.values_list(owner, "content_type__app_label", "codename"):
            found[key].add(f"{app}.{codename}")
    return {key: frozenset(names) for key, names in found.items()}


def still_granted(
    bearers: Iterable[Bearer], asked: Collection[str]
) -> dict[Bearer, frozenset[str]]:
    """Return what bearers of sessions may do now.

    Missing is whose session is over, who may not sign in any more, and whose password is another.
    Four queries for each 500 sign-ins.
    """
    standing: dict[Bearer, frozenset[str]] = {}
    for some in _chunks(bearers):
        alive = _alive(some)
        rights = granted({row.user_id for row in alive if row.user_id}, asked)
        everything = frozenset(asked)
        for bearer, is_superuser in alive.items():
            if bearer.user_id is not None:
                standing[bearer] = everything if is_superuser else rights[bearer.user_id]
    return standing


def _alive(bearers: list[Bearer]) -> dict[Bearer, bool]:
    """Return the bearers whose sign-in still holds, and whether they are superusers."""
    sessions = set(
        Session.objects.filter(
            session_key__in={bearer.session for bearer in bearers}, expire_date__gt=timezone.now()
        ).values_list("session_key", flat=True)
    )
    people = {
        key: (password_mark(password), is_superuser)
        for key, password, is_superuser in User.objects.filter(
            pk__in={bearer.user_id for bearer in bearers},
            is_active=True,
            must_change_password=False,
        ).values_list("pk", "password", "is_superuser")
    }
    alive: dict[Bearer, bool] = {}
    for bearer in bearers:
        if bearer.user_id is None:
            continue
        mark, is_superuser = people.get(bearer.user_id, (b"", False))
        if bearer.session in sessions and mark == bearer.password:
            alive[bearer] = is_superuser
    return alive


def _chunks(bearers: Iterable[Bearer]) -> Iterator[list[Bearer]]:
    rest = iter(bearers)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
