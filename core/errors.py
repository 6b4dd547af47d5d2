"""Errors of the domain: each has a code for machines and a status for HTTP."""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class DomainError(Exception):
    """A rule was broken; the message is meant for the person who broke it."""

    code: ClassVar[str] = "domain-error"
    status: ClassVar[int] = 400
    wait_seconds: ClassVar[int | None] = None
    """After how long trying again may help, where the one who raises it knows no better."""
    title: ClassVar[str] = "The request breaks a rule"

    def __init__(
        self,
        message: str,
        *,
        errors: Mapping[str, Sequence[str]] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.errors = {field: list(texts) for field, texts in (errors or {}).items()}
        self.retry_after = retry_after or self.wait_seconds

    def members(self) -> Mapping[str, object]:
        """Return what the answer of the API tells beside the text."""
        return {}


class InvalidInputError(DomainError):
    """A value cannot be used; `errors` names the fields."""

    code = "invalid-input"
    title = "Some values cannot be used"


class ForbiddenError(DomainError):
    """The actor is known but may not do this."""

    code = "forbidden"
    status = 403
    title = "Not allowed"


class NotFoundError(DomainError):
    """There is no such thing, or the actor may not see it."""

    code = "not-found"
    status = 404
    title = "Not found"


class InvalidTransitionError(DomainError):
    """The thing is no longer in the state that the act needs."""

    code = "invalid-transition"
    status = 409
    title = "The state has changed"


class NotConfiguredError(DomainError):
    """The operator has not configured what the act needs; the message says what to set."""

    code = "not-configured"
    status = 503
    title = "Not configured"


class UnavailableError(DomainError):
    """A part that the act needs is away for now."""

    code = "unavailable"
    status = 503
    wait_seconds = 5
    title = "Unavailable for now"


class TooManyError(DomainError):
    """Tried too often; `retry_after` says in how many seconds to try again."""

    code = "locked"
    status = 429
    title = "Too many attempts"


class BusyError(DomainError):
    """Others are served first; trying again in a moment helps."""

    code = "busy"
    status = 503
    title = "Busy for a moment"


class NotSignedInError(DomainError):
    """Who it is was not proven; the same text whatever was wrong."""

    code = "not-authenticated"
    status = 401
    title = "Unauthorized"


class StepUpRequiredError(DomainError):
    """A dangerous act: the person must prove once more who they are."""

    code = "step-up-required"
    status = 403
    title = "Confirm that it is you"
