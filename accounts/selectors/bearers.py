"""Who holds a connection that stays open, and what they may do now."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
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


def roles_and_rights(user: User, asked: Collection[str]) -> tuple[str, frozenset[str]]:
    """Return a person's roles as one label, and which of the permissions asked for they have."""
    if user.is_superuser:
        return "superuser", frozenset(asked)
    held = Group.objects.filter(user=user).values_list("name", *_through("permissions"))
    names: set[str] = set()
    rights: set[str] = set()
    for name, app, codename in held:
        names.add(name)
        rights.add(f"{app}.{codename}")
    own = user.user_permissions.order_by().values_list("content_type__app_label", "codename")
    rights |= {f"{app}.{codename}" for app, codename in own}
    return "+".join(sorted(names)) or "none", frozenset(rights & set(asked))


def _granted(user_ids: Collection[UUID], asked: Collection[str]) -> dict[UUID, frozenset[str]]:
    """Return which of the permissions asked for each person has, by roles or directly."""
    wanted = {codename for _, _, codename in (name.partition(".") for name in asked)}
    by_group: defaultdict[int, set[str]] = defaultdict(set)
    for key, app, codename in Group.objects.filter(permissions__codename__in=wanted).values_list(
        "pk", *_through("permissions")
    ):
        by_group[key].add(f"{app}.{codename}")
    found: dict[UUID, set[str]] = {key: set() for key in user_ids}
    members = User.groups.through.objects.filter(user_id__in=user_ids)
    for key, group in members.values_list("user_id", "group_id"):
        found[key] |= by_group[group]
    own = User.user_permissions.through.objects.filter(
        user_id__in=user_ids, permission__codename__in=wanted
    )
    for key, app, codename in own.values_list("user_id", *_through("permission")):
        found[key].add(f"{app}.{codename}")
    return {key: frozenset(names & set(asked)) for key, names in found.items()}


def _through(relation: str) -> tuple[str, str]:
    return f"{relation}__content_type__app_label", f"{relation}__codename"


def still_granted(
    bearers: Iterable[Bearer], asked: Collection[str]
) -> dict[Bearer, frozenset[str]]:
    """Return what bearers of sessions may do now.

    Missing is whose session is over, who may not sign in any more, and whose password is another.
    Five queries for each 500 sign-ins.
    """
    standing: dict[Bearer, frozenset[str]] = {}
    for some in _chunks(bearers):
        alive = _alive(some)
        rights = _granted({row.user_id for row in alive if row.user_id}, asked)
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
