"""Passwords: what may be one, whether it is the right one, and choosing another."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from django.contrib.auth.hashers import make_password, verify_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.actors import actor_for
from accounts.models import User
from accounts.services import revocation
from accounts.validators import LONGEST
from audit.services.acts import audited
from audit.services.records import record
from core.errors import InvalidInputError, InvalidTransitionError

if TYPE_CHECKING:
    from uuid import UUID

    from core.actors import Actor


def refuse_unreadable(password: str, *, field: str = "password") -> None:
    """Refuse what no person types, before any hash is computed; raises InvalidInputError."""
    if len(password) > LONGEST:
        message = f"A password has {LONGEST:,} characters at most."
    elif "\0" in password or not _is_text(password):
        message = "A password is text without NUL characters."
    else:
        return
    raise InvalidInputError(message, errors={field: [message]})


def is_right(user: User | None, password: str) -> bool:
    """Verify a password at the same cost whether the person exists or not.

    Who may not sign in is nobody here. A hash with old parameters is replaced. Raises BusyError.
    """
    # Made before it is needed: the first stranger would otherwise wait longer than others.
    dummy = _dummy()
    if user is None or not user.is_active or not user.has_usable_password():
        verify_password(password, dummy)
        return False
    right, is_old = verify_password(password, user.password)
    if right and is_old:
        rehash(user=user, password=password)
    return right


def rehash(*, user: User, password: str) -> None:
    """Keep the same password under the present parameters."""
    # Hashes are computed before the transaction: SQLite has one writer at a time.
    _replace(user=user, encoded=make_password(password))


def change_own(*, actor: Actor, user: User, password: str, keep: UUID | None = None) -> None:
    """Set the password that a person chose; their other sessions end.

    `keep` is the session that goes on. Raises InvalidInputError for a weak password, and
    InvalidTransitionError when the password was changed elsewhere meanwhile.
    """
    refuse_weak(user, password)
    _store(actor=actor, user=user, encoded=make_password(password), keep=keep)


@audited
def _replace(*, user: User, encoded: str) -> None:
    # Whoever chose another password meanwhile keeps that one.
    if User.objects.filter(pk=user.pk, password=user.password).update(password=encoded):
        user.password = encoded
        record(actor=actor_for(user), action="password.rehashed", target=user)


@audited
def _store(*, actor: Actor, user: User, encoded: str, keep: UUID | None) -> None:
    values = {
        "password": encoded,
        "must_change_password": False,
        "password_expires_at": None,
        "password_changed_at": timezone.now(),
    }
    if not User.objects.filter(pk=user.pk, password=user.password).update(**values):
        message = "The password was changed elsewhere meanwhile. Sign in again."
        raise InvalidTransitionError(message)
    for name, value in values.items():
        setattr(user, name, value)
    record(actor=actor, action="password.changed", target=user)
    # What processes remember of the person says that the password is still to change.
    revocation.tell(kind=revocation.Kind.RIGHTS, value=str(user.pk), actor=actor)
    revocation.end_all(actor=actor, user_id=user.pk, reason="The password was changed.", keep=keep)


def refuse_weak(user: User, password: str) -> None:
    """Refuse a password that breaks a rule, or that the person has; raises InvalidInputError."""
    refuse_unreadable(password)
    try:
        validate_password(password, user)
    except ValidationError as error:
        message = "Choose another password."
        raise InvalidInputError(message, errors={"password": error.messages}) from None
    if verify_password(password, user.password)[0]:
        message = "Choose another password than the one you have."
        raise InvalidInputError(message, errors={"password": [message]})


@lru_cache(maxsize=1)
def _dummy() -> str:
    return make_password("nobody has this password")


def _is_text(password: str) -> bool:
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True
