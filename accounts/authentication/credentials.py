"""Which headers carry a credential; a request may carry one of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
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
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

_API_KEY_PREFIX: Final = "ops_"
_DOTS_OF_A_TOKEN: Final = 2


class CredentialKind(Enum):
    """What a credential claims to be."""

    ACCESS_TOKEN = auto()
    API_KEY = auto()
    DASHBOARD_KEY = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Credential:
    """What somebody sent to say who they are; not judged yet."""

    kind: CredentialKind
    value: str


def carried(meta: Mapping[str, str]) -> str | None:
    """Return the name of the one header that carries a credential; refuse two of them."""
    found = [name for name in CREDENTIALS if name in meta]
    if len(found) > 1:
        raise exceptions.ParseError(ONE_CREDENTIAL)
    return found[0] if found else None


def credential_of(header: str, value: str) -> Credential:
    """Return what a header carries; its name may be WSGI's or that of the event loop."""
    if header in {DASHBOARD_KEY, "x-dash-key"}:
        return Credential(CredentialKind.DASHBOARD_KEY, value)
    if header in {API_KEY, "x-api-key"}:
        return Credential(CredentialKind.API_KEY, value)
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != "bearer":
        return Credential(CredentialKind.UNKNOWN, "")
    if rest.startswith(_API_KEY_PREFIX):
        return Credential(CredentialKind.API_KEY, rest)
    return Credential(CredentialKind.ACCESS_TOKEN, rest)


def credential_of_frame(value: str) -> Credential:
    """Return what a socket's first frame carries, for clients that cannot send headers."""
    if value.startswith(_API_KEY_PREFIX):
        return Credential(CredentialKind.API_KEY, value)
    if value.count(".") == _DOTS_OF_A_TOKEN:
        return Credential(CredentialKind.ACCESS_TOKEN, value)
    return Credential(CredentialKind.DASHBOARD_KEY, value)
