"""Which headers carry a credential; a request may carry one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rest_framework import exceptions

if TYPE_CHECKING:
    from collections.abc import Mapping

# Read as WSGI names them: Django's `headers` would translate every header of every request.
DASHBOARD_KEY: Final = "HTTP_X_DASH_KEY"
API_KEY: Final = "HTTP_X_API_KEY"
AUTHORIZATION: Final = "HTTP_AUTHORIZATION"
CREDENTIALS: Final = (DASHBOARD_KEY, API_KEY, AUTHORIZATION)
CREDENTIAL_HEADERS: Final = ("x-dash-key", "x-api-key", "authorization")
"""The same as the event loop has them."""
CHALLENGE: Final = "Bearer"
ONE_CREDENTIAL: Final = "Send one credential only."


def carried(meta: Mapping[str, str]) -> str | None:
    """Return the name of the one header that carries a credential; refuse two of them."""
    found = [name for name in CREDENTIALS if name in meta]
    if len(found) > 1:
        raise exceptions.ParseError(ONE_CREDENTIAL)
    return found[0] if found else None
