"""The console's session cookie, for requests of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import SessionAuthentication

from accounts.authentication.credentials import CHALLENGE
from accounts.selectors import access, sign_ins
from accounts.services import restrictions
from core import tracing

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema
    from rest_framework.request import Request

    from accounts.models import User


class ConsoleSessionAuthentication(SessionAuthentication):
    """The console's session cookie, with CSRF for everything that changes something."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """Return the person behind the cookie; refuse one who has something to do first."""
        found = super().authenticate(request)
        if found is None:
            return None
        user = found[0]
        person = access.snapshot(user.pk)
        if person is None:
            return None
        methods = sign_ins.methods_that_matter(person, request.session)
        restrictions.refuse(path=request.path, snapshot=person, methods=methods)
        tracing.amend(user=user.get_username())
        return user, None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge, without which the framework would answer 403 instead of 401."""
        return CHALLENGE


class _SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped package
    target_class = ConsoleSessionAuthentication
    name = "consoleSession"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
