"""Which credential a request carries, and for whom it stands (SPEC A7)."""

from __future__ import annotations

import hmac
import re
from importlib import import_module
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.contrib.auth import get_user
from django.db import transaction
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication

from accounts.actors import DashboardPrincipal, actor_for_key
from accounts.models import User
from accounts.roles import ROLES
from accounts.selectors import Bearer, password_mark, roles_and_rights
from audit.services import record
from core import crypto, tracing, volatile
from core.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Collection

    from drf_spectacular.openapi import AutoSchema
    from rest_framework.request import Request

# Read as WSGI names them: Django's `headers` would translate every header of every request.
_DASHBOARD_KEY: Final = "HTTP_X_DASH_KEY"
_CREDENTIALS: Final = (_DASHBOARD_KEY, "HTTP_X_API_KEY", "HTTP_AUTHORIZATION")
CREDENTIAL_HEADERS: Final = ("x-dash-key", "x-api-key", "authorization")
"""The same as the event loop has them."""
_CHALLENGE: Final = "Bearer"
ONE_CREDENTIAL: Final = "Send one credential only."
_AUDIT_SECONDS: Final = 60
_LONGEST_KEY: Final = 512
# What the session store makes; anything else need not be looked up.
_SESSION_KEY: Final = re.compile("[a-z0-9]{8,40}", re.ASCII)


class PasswordChangeRequiredError(DomainError):
    """The one-time password must be changed before anything else."""

    code = "password-change-required"
    status = 403
    title = "Change your password first."


class DashboardKeyAuthentication(BaseAuthentication):
    """A static key from ROLES_JSON in the header X-Dash-Key."""

    def authenticate(self, request: Request) -> tuple[DashboardPrincipal, None] | None:
        """Return the principal, or None without the header; a wrong one never falls through."""
        if sum(name in request.META for name in _CREDENTIALS) > 1:
            raise exceptions.ParseError(ONE_CREDENTIAL)
        if not any(name in request.META for name in _CREDENTIALS):
            return None
        # A header beats the cookie, also one that nothing here accepts: a script that tries a
        # revoked credential from a browser's session must not look as if it were valid.
        principal = find_dashboard_key(request.META.get(_DASHBOARD_KEY, ""))
        if principal is None:
            raise exceptions.AuthenticationFailed
        tracing.amend(user=principal.pk)
        _note_use(principal, request.path)
        return principal, None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge, without which the framework would answer 403 instead of 401."""
        return _CHALLENGE


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
        return _CHALLENGE


def find_dashboard_key(given: str) -> DashboardPrincipal | None:
    """Return the principal of a dashboard key; takes the same time whichever key matches."""
    if not given or len(given) > _LONGEST_KEY:
        return None
    digest = crypto.keyed_digest(settings.DASHBOARD_PEPPER, given)
    found: str | None = None
    for known, role in settings.DASHBOARD_KEYS:
        # No early exit: all entries are compared, each in constant time.
        if hmac.compare_digest(known, digest):
            found = role
    if found is None or found not in ROLES:
        return None
    return DashboardPrincipal(fingerprint=digest.hex()[:8], role=found)


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


def bearer_of_key(
    given: str, asked: Collection[str], *, path: str
) -> tuple[Bearer, frozenset[str]] | None:
    """Return who holds a dashboard key, and which of the permissions asked for it has."""
    principal = find_dashboard_key(given)
    if principal is None:
        return None
    _note_use(principal, path)
    bearer = Bearer(key=principal.pk, name=principal.pk, role=principal.role)
    return bearer, frozenset(name for name in asked if principal.has_perm(name))


def _note_use(principal: DashboardPrincipal, path: str) -> None:
    # A key that polls would drown the audit log: one row a minute for each key and address.
    address = tracing.current().address
    if volatile.once(key=f"{principal.pk}@{address}", seconds=_AUDIT_SECONDS):
        with transaction.atomic():
            record(actor=actor_for_key(principal), action="dashboard_key.used", path=path)


class _DashboardKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped package
    target_class = DashboardKeyAuthentication
    name = "dashboardKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "X-Dash-Key"}


class _SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped package
    target_class = ConsoleSessionAuthentication
    name = "consoleSession"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
