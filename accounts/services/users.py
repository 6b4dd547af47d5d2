"""Create, change and disable people; each act leaves an audit row."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.engine.networks import allows
from accounts.models import AccessChange, RolePolicy, User
from accounts.roles import SIGNS_IN_TO_CONSOLE
from accounts.selectors import people
from accounts.services import lockout, revocation
from audit.services.acts import audited
from audit.services.records import changes, record
from core import tracing
from core.errors import InvalidInputError, InvalidTransitionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from core.actors import Actor

ONE_TIME_HOURS: Final = 24
# No letter or digit that people confuse when they read it off a terminal.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"


def one_time_password() -> str:
    """Return about 99 random bits in five groups of four readable characters."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(5))


@dataclass(frozen=True, slots=True)
class _OneTime:
    """A one-time password with its hash, computed before the act.

    SQLite has one writer at a time, and a hash takes longer than most acts.
    """

    password: str
    encoded: str

    @classmethod
    def new(cls) -> _OneTime:
        password = one_time_password()
        return cls(password, make_password(password))

    def give(self, user: User) -> None:
        user.password = self.encoded
        user.must_change_password = True
        user.password_expires_at = timezone.now() + timedelta(hours=ONE_TIME_HOURS)


def create_user(
    *, actor: Actor, username: str, email: str = "", roles: Iterable[str] = ()
) -> tuple[User, str]:
    """Create a person with a one-time password; return both, the password for showing once."""
    one_time = _OneTime.new()
    user = _create(
        actor=actor, username=username, email=email, names=sorted(set(roles)), one_time=one_time
    )
    return user, one_time.password


@audited
def _create(
    *, actor: Actor, username: str, email: str, names: Sequence[str], one_time: _OneTime
) -> User:
    user = User(username=User.normalize_username(username), email=email)
    one_time.give(user)
    _refuse_invalid(user)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        message = "There is a user of this name."
        raise InvalidInputError(message, errors={"username": [message]}) from None
    _set_roles(user, names)
    record(actor=actor, action="user.created", target=user, after={"email": email, "roles": names})
    return user


@audited
def update_user(
    *,
    actor: Actor,
    user_id: UUID,
    email: str,
    roles: Iterable[str],
    is_active: bool | None = None,
) -> User:
    """Change a person's address, roles and, if told, right to sign in; an admin must remain.

    An admin who never chose a password of their own does not count: the one-time password runs out.
    """
    names = sorted(set(roles))
    # Two admins who demote each other at once wait here, so the second one sees the first act.
    Group.objects.select_for_update().get(name="admin")
    user = User.objects.select_for_update().get(pk=user_id)
    before = _shown(user)
    is_active = user.is_active if is_active is None else is_active
    if user.is_active and not is_active:
        user.disabled_at = timezone.now()
    elif is_active:
        user.disabled_at = None
    user.email = email
    user.is_active = is_active
    _refuse_invalid(user)
    user.save(update_fields=["email", "is_active", "disabled_at"])
    _set_roles(user, names)
    _keep_one_admin(before, user)
    if actor.user_id == user.pk:
        _keep_author_in(names)
    old, new = changes(before, _shown(user))
    if new:
        record(actor=actor, action="user.updated", target=user, before=old, after=new)
        _tell(actor, user, old, new)
    return user


@audited
def disable_user(*, actor: Actor, user_id: UUID, reason: str = "") -> User:
    """Keep a person from signing in and end what they are signed in to; an admin must remain."""
    return _switch(actor=actor, user_id=user_id, is_active=False, reason=reason)


@audited
def enable_user(*, actor: Actor, user_id: UUID, reason: str = "") -> User:
    """Let a person sign in again."""
    return _switch(actor=actor, user_id=user_id, is_active=True, reason=reason)


@audited
def change_own_email(*, actor: Actor, user_id: UUID, email: str) -> User:
    """Set the address that a person gives for themselves."""
    user = User.objects.select_for_update().get(pk=user_id)
    old, new = changes({"email": user.email}, {"email": email})
    if new:
        user.email = email
        _refuse_invalid(user)
        user.save(update_fields=["email"])
        record(actor=actor, action="user.updated", target=user, before=old, after=new)
    return user


@audited
def remove_role(*, actor: Actor, user_id: UUID, role: str, reason: str = "") -> User:
    """Take one role from a person and end what they are signed in to; an admin must remain."""
    Group.objects.select_for_update().get(name="admin")
    user = User.objects.select_for_update().get(pk=user_id)
    before = _shown(user)
    held = user.groups.values_list("name", flat=True)
    names = [name for name in held if name != role]
    if len(names) == len(held):
        message = f"{user.username} does not have the role {role}."
        raise InvalidTransitionError(message)
    _set_roles(user, names)
    _keep_one_admin(before, user)
    old, new = changes(before, _shown(user))
    record(actor=actor, action="user.updated", target=user, before=old, after=new, reason=reason)
    _tell(actor, user, old, new)
    return user


def _switch(*, actor: Actor, user_id: UUID, is_active: bool, reason: str) -> User:
    Group.objects.select_for_update().get(name="admin")
    user = User.objects.select_for_update().get(pk=user_id)
    if user.is_active == is_active:
        message = f"{user.username} is {'active' if is_active else 'disabled'} already."
        raise InvalidTransitionError(message)
    before = _shown(user)
    user.is_active = is_active
    user.disabled_at = None if is_active else timezone.now()
    user.save(update_fields=["is_active", "disabled_at"])
    _keep_one_admin(before, user)
    record(
        actor=actor,
        action="user.enabled" if is_active else "user.disabled",
        target=user,
        reason=reason,
    )
    _tell(actor, user, {"is_active": not is_active}, {"is_active": is_active})
    return user


def _tell(actor: Actor, user: User, old: Mapping[str, object], new: Mapping[str, object]) -> None:
    """End what a person is signed in to when they lose something; otherwise tell their rights."""
    was, now = old.get("roles"), new.get("roles")
    lost = isinstance(was, list) and isinstance(now, list) and bool(set(was) - set(now))
    if new.get("is_active") is False:
        revocation.end_all(actor=actor, user_id=user.pk, reason="The person was disabled.")
    elif lost:
        revocation.end_all(actor=actor, user_id=user.pk, reason="The person lost a role.")
    if set(new) & {"roles", "is_active"}:
        revocation.tell(
            kind=AccessChange.Kind.RIGHTS,
            value=str(user.pk),
            actor=actor,
            reason="The person's roles changed.",
        )


def _keep_author_in(names: Sequence[str]) -> None:
    """Refuse a role whose networks would shut out the person who gives it to themselves."""
    address = tracing.current().address
    for policy in RolePolicy.objects.filter(group__name__in=names).select_related("group"):
        if address and not allows(tuple(policy.networks), address):
            message = (
                f"The networks of the role {policy.group.name} leave out {address}, the address "
                "you come from: you would shut yourself out."
            )
            raise InvalidInputError(message, errors={"roles": [message]})


def reset_password(*, actor: Actor, user_id: UUID, even_last_admin: bool = False) -> str:
    """Replace a person's password by a one-time one; return it for showing once.

    What was tried wrongly is forgotten, and so are the browsers that were known; API keys go on.
    An admin with a password of their own must remain, unless the act comes from the machine itself.
    """
    one_time = _OneTime.new()
    _reset(actor=actor, user_id=user_id, one_time=one_time, even_last_admin=even_last_admin)
    return one_time.password


def reset_passwords(*, actor: Actor, user_ids: Iterable[UUID]) -> dict[str, str]:
    """Replace all passwords or none: one that was replaced but not shown would be lost.

    Returns them by the names of the people.
    """
    prepared = {user_id: _OneTime.new() for user_id in user_ids}
    return _reset_all(actor=actor, prepared=prepared)


@audited
def _reset_all(*, actor: Actor, prepared: Mapping[UUID, _OneTime]) -> dict[str, str]:
    return {
        _reset(actor=actor, user_id=user_id, one_time=one_time).username: one_time.password
        for user_id, one_time in prepared.items()
    }


@audited
def _reset(
    *, actor: Actor, user_id: UUID, one_time: _OneTime, even_last_admin: bool = False
) -> User:
    Group.objects.select_for_update().get(name="admin")
    user = User.objects.select_for_update().get(pk=user_id)
    before = _counts_as_admin(user)
    one_time.give(user)
    user.save(update_fields=["password", "must_change_password", "password_expires_at"])
    if before and not even_last_admin:
        _refuse_without_admin(
            "This is the only admin who can sign in: nobody would be left if the one-time password "
            "ran out. Change the password on your own page, or run on the machine: "
            f"manage.py reset_password {user.username}"
        )
    lockout.forgive(user)
    record(actor=actor, action="password.reset", target=user)
    # Processes that remember the person must know that the password is to be changed.
    revocation.tell(kind=AccessChange.Kind.RIGHTS, value=str(user.pk), actor=actor)
    revocation.end_all(actor=actor, user_id=user.pk, reason="A one-time password was given.")
    return user


def _refuse_invalid(user: User) -> None:
    try:
        user.full_clean(validate_unique=False)
    except ValidationError as error:
        message = "The user cannot be saved."
        raise InvalidInputError(message, errors=error.message_dict) from None


def _set_roles(user: User, names: Sequence[str]) -> None:
    groups = list(Group.objects.filter(name__in=names))
    if unknown := set(names) - {group.name for group in groups}:
        message = "There is no such role."
        raise InvalidInputError(message, errors={"roles": sorted(unknown)})
    user.groups.set(groups)
    user.is_staff = not SIGNS_IN_TO_CONSOLE.isdisjoint(names)
    User.objects.filter(pk=user.pk).update(is_staff=user.is_staff)


def _keep_one_admin(before: Mapping[str, object], user: User) -> None:
    after = _shown(user)
    if not _is_admin(before) or _is_admin(after):
        return
    _refuse_without_admin(
        "The last active admin stays one: give somebody else the role first, "
        "and let them choose their password."
    )


def _refuse_without_admin(message: str) -> None:
    """Refuse an act after which no admin can come in."""
    if not people.active_admins().exists():
        raise InvalidTransitionError(message)


def _counts_as_admin(user: User) -> bool:
    return _is_admin(_shown(user)) and not user.must_change_password


def _is_admin(shown: Mapping[str, object]) -> bool:
    roles = shown["roles"]
    return bool(shown["is_active"]) and isinstance(roles, list) and "admin" in roles


def _shown(user: User) -> dict[str, object]:
    roles = sorted(user.groups.values_list("name", flat=True))
    return {"email": user.email, "is_active": user.is_active, "roles": roles}
