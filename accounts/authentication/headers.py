"""The credential in a header, whichever it is (SPEC A6, A7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication

from accounts.authentication.credentials import CHALLENGE, DASHBOARD_KEY, carried
from accounts.authentication.dashboard_keys import find_dashboard_key, note_use
from core import tracing

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema
    from rest_framework.request import Request

    from accounts.actors import DashboardPrincipal


class HeaderAuthentication(BaseAuthentication):
    """The one credential that a request carries in a header."""

    def authenticate(self, request: Request) -> tuple[DashboardPrincipal, None] | None:
        """Return the principal, or None without a header; a wrong one never falls through."""
        name = carried(request.META)
        if name is None:
            return None
        # A header beats the cookie, also one that nothing here accepts: a script that tries a
        # revoked credential from a browser's session must not look as if it were valid.
        given = request.META[name] if name == DASHBOARD_KEY else ""
        principal = find_dashboard_key(given)
        if principal is None:
            raise exceptions.AuthenticationFailed
        tracing.amend(user=principal.pk)
        note_use(principal, request.path)
        return principal, None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge, without which the framework would answer 403 instead of 401."""
        return CHALLENGE


class _HeaderSchemes(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped package
    target_class = HeaderAuthentication
    name: Final = ["dashboardKey"]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, str]]:
        return [{"type": "apiKey", "in": "header", "name": "X-Dash-Key"}]
