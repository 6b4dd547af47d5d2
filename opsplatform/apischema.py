"""How one operation is described: also how it refuses, and with which credentials it goes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

from drf_spectacular.openapi import AutoSchema

from accounts.scopes import SCOPES
from core.rest.errors import MEDIA_TYPE
from core.rest.permissions import PUBLIC, SIGNED_IN, capability_of
from core.rest.problems import ProblemSerializer

if TYPE_CHECKING:
    from collections.abc import Iterator

_OF_PEOPLE: Final = "/api/auth/"
"""What a key never reaches, whatever its rights."""
_OF_ANYBODY: Final = frozenset({"/api/auth/me"})
_SCOPED: Final = frozenset[str]().union(*(scope.permissions for scope in SCOPES.values()))
_LONGEST_SUMMARY: Final = 120
_WAIT: Final[dict[str, Any]] = {
    "Retry-After": {
        "description": "In how many seconds to try again.",
        "schema": {"type": "integer"},
    }
}
_CHALLENGE: Final[dict[str, Any]] = {
    "WWW-Authenticate": {"description": "Bearer.", "schema": {"type": "string"}}
}


class ApiSchema(AutoSchema):
    """Adds to each operation what its capability says: who may call it, and how it refuses."""

    def get_summary(self) -> str | None:
        """Return the first sentence of the description."""
        first = str(self.get_description() or "").partition("\n\n")[0].replace("\n", " ")
        sentence = re.split(r"[.;:] ", first)[0].strip().removesuffix(".")
        return sentence if 0 < len(sentence) <= _LONGEST_SUMMARY else None

    def get_auth(self) -> list[dict[str, Any]]:
        """Return the credentials, of which one is enough; keys only where they can be of use."""
        closed = set(self._useless())
        return [
            {name: scopes}
            for required in super().get_auth()
            for name, scopes in required.items()
            if name not in closed
        ]

    def _useless(self) -> Iterator[str]:
        needed = self._capability()
        is_of_people = self.path.startswith(_OF_PEOPLE) and self.path not in _OF_ANYBODY
        if is_of_people or (needed not in {PUBLIC, SIGNED_IN} and needed not in _SCOPED):
            yield "apiKey"
        if is_of_people or needed.startswith(("accounts.", "auth.")):
            yield "dashboardKey"

    def _capability(self) -> str:
        return capability_of(self.view, self.method) or ""

    def _get_response_bodies(
        self, direction: Literal["request", "response"] = "response"
    ) -> dict[str, Any]:
        found: dict[str, Any] = super()._get_response_bodies(direction)
        for status, about, headers in self._refusals():
            found.setdefault(status, self._problem(about, headers))
        return {status: found[status] for status in sorted(found)}

    def _problem(self, about: str, headers: dict[str, Any]) -> dict[str, Any]:
        component = self.resolve_serializer(ProblemSerializer, "response")
        answer: dict[str, Any] = {
            "description": about,
            "content": {MEDIA_TYPE: {"schema": component.ref}},
        }
        return answer | ({"headers": headers} if headers else {})

    def _refusals(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield what any operation of this kind may answer beside its own answers."""
        takes_body = self._get_request_body() is not None  # type: ignore[no-untyped-call]  # untyped package
        is_public = self._capability() == PUBLIC
        if takes_body:
            yield "400", "Some values cannot be used; `errors` names them.", {}
        # What is public may still look at a credential, and then it has to hold.
        looks = not is_public or bool(self.get_auth())
        if looks or (takes_body and self.path.startswith(_OF_PEOPLE)):
            yield "401", "No credential, or one that does not hold.", _CHALLENGE
        if looks:
            yield "403", self._forbidden(), {}
        if "{" in self.path:
            yield "404", "There is no such thing.", {}
        yield "429", "Too many requests, or too many attempts.", _WAIT

    def _forbidden(self) -> str:
        needed = self._capability()
        asks = "" if needed in {SIGNED_IN, PUBLIC} else f"It needs `{needed}`. "
        return (
            f"{asks}Also from a network that is not allowed, while a password must be changed or a "
            "second factor enrolled, and `step-up-required` before what is dangerous."
        )
