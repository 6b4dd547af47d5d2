"""The console's session cookie, for requests and for connections that stay open."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import SessionAuthentication

from accounts.authentication.credentials import CHALLENGE
from accounts.models import User
from accounts.selectors.bearers import Bearer, password_mark, roles_and_rights
from core import tracing
from core.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Collection

    from drf_spectacular.openapi import AutoSchema
    from rest_framework.request import Request

# What the session store makes; anything else need not be looked up.
_SESSION_KEY: Final = re.compile("[a-z0-9]{8,40}", re.ASCII)


class PasswordChangeRequiredError(DomainError):
    """The one-time password must be changed before anything else."""

    code = "password-change-required"
    status = 403
    title = "Change your password first."


class ConsoleSessionAuthentication(SessionAuthentication):
    """The console's session cookie, with CSRF for everything that changes something."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """Return the person behind the cookie; refuse one with a password still to change."""
        found = super().authenticate(request)
        if found is None:
            return None
        user = found[0]
        if user.must_change_password:
            message = "Sign in to the console and choose a password of your own."
            raise PasswordChangeRequiredError(message)
        tracing.amend(user=user.get_username())
        return user, None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge, without which the framework would answer 403 instead of 401."""
        return CHALLENGE


def bearer_of_session(
    session_key: str, asked: Collection[str]
) -> tuple[Bearer, frozenset[str]] | None:
    """Return who is signed in by the console's cookie, for a connection that stays open.

    With it, which of the permissions asked for they have.

    Raises PasswordChangeRequiredError for a password that is still to change.
    """
    if not _SESSION_KEY.fullmatch(session_key):
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    # Django's own judgement: the row is alive, the backend known, the password the same.
    user = get_user(request)
    if not isinstance(user, User) or not user.is_active:
        return None
    if user.must_change_password:
        message = "Sign in to the console and choose a password of your own."
        raise PasswordChangeRequiredError(message)
    role, granted = roles_and_rights(user, asked)
    bearer = Bearer(
        key=f"user/{user.pk}",
        name=user.get_username(),
        role=role,
        user_id=user.pk,
        session=session_key,
        password=password_mark(user.password),
    )
    return bearer, granted


class _SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped package
    target_class = ConsoleSessionAuthentication
    name = "consoleSession"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
