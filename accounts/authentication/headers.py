"""The credential in a header, whichever it is (SPEC A2, A6, A7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication

from accounts.authentication import api_keys, tokens
from accounts.authentication.credentials import (
    CHALLENGE,
    READING,
    CredentialKind,
    carried,
    credential_of,
)
from accounts.authentication.dashboard_keys import find_dashboard_key, note_use
from accounts.services import restrictions
from accounts.services.networks import refuse_address
from core import tracing

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema
    from rest_framework.request import Request

    from accounts.actors import APIKeyPrincipal, DashboardPrincipal, PersonPrincipal
    from accounts.authentication.credentials import Credential

    Principal = PersonPrincipal | APIKeyPrincipal | DashboardPrincipal


class HeaderAuthentication(BaseAuthentication):
    """The one credential that a request carries in a header."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        """Return the principal, or None without a header; a wrong one never falls through."""
        name = carried(request.META)
        if name is None:
            return None
        # A header beats the cookie, also one that nothing here accepts: a script that tries a
        # revoked credential from a browser's session must not look as if it were valid.
        principal = _judge(credential_of(name, request.META[name]), request)
        if principal is None:
            raise exceptions.AuthenticationFailed
        return principal, None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge, without which the framework would answer 403 instead of 401."""
        return CHALLENGE


def _judge(given: Credential, request: Request) -> Principal | None:
    if given.kind is CredentialKind.ACCESS_TOKEN:
        return _person(given.value, request)
    if given.kind is CredentialKind.API_KEY:
        key = api_keys.principal_of(
            given.value, tracing.current().address, reading=request.method in READING
        )
        if key is not None:
            tracing.amend(user=key.pk)
        return key
    if given.kind is CredentialKind.DASHBOARD_KEY:
        holder = find_dashboard_key(given.value, reading=request.method in READING)
        if holder is not None:
            tracing.amend(user=holder.pk)
            note_use(holder, request.path)
        return holder
    return None


def _person(raw: str, request: Request) -> PersonPrincipal | None:
    person = tokens.principal_of(raw, reading=request.method in READING)
    if person is None:
        return None
    context = tracing.amend(user=person.snapshot.username, session=person.sid)
    refuse_address(place="login", snapshot=person.snapshot, address=context.address)
    restrictions.refuse(path=request.path, snapshot=person.snapshot, methods=person.methods)
    return person


class _HeaderSchemes(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped package
    target_class = HeaderAuthentication
    name: Final = ["accessToken", "apiKey", "dashboardKey"]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            {"type": "apiKey", "in": "header", "name": "X-Dash-Key"},
        ]
