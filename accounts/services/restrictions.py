"""What a person may do whose sign-in is not complete: enrol, change the password, leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Collection

    from accounts.engine.snapshots import Snapshot

SECOND_FACTORS: Final = frozenset({"otp", "hwk", "swk", "recovery"})
"""Methods (RFC 8176, and ours) that prove more than a password."""
_OPEN: Final = frozenset({"logout", "password", "me", "refresh", "reauth", "devices"})
_BELOW: Final = "/api/auth/"


class PasswordChangeRequiredError(DomainError):
    """The one-time password must be changed before anything else."""

    code = "password-change-required"
    status = 403
    title = "Change your password first"


class EnrolmentRequiredError(DomainError):
    """A role of the person asks for a second factor, and none was proven."""

    code = "enrolment-required"
    status = 403
    title = "Set up a second factor first"


def restriction_of(snapshot: Snapshot, methods: Collection[str]) -> DomainError | None:
    """Return what the person must do first, or None."""
    if snapshot.must_change_password:
        message = "Your password was made for one use. Choose one of your own."
        return PasswordChangeRequiredError(message)
    if snapshot.mfa_required and SECOND_FACTORS.isdisjoint(methods):
        message = "Your role asks for a second factor. Set one up, or sign in with yours."
        return EnrolmentRequiredError(message)
    return None


def refuse(*, path: str, snapshot: Snapshot, methods: Collection[str]) -> None:
    """Refuse a request of the API until its person has done what they must."""
    found = restriction_of(snapshot, methods)
    if found is not None and not _is_open(path):
        raise found


def _is_open(path: str) -> bool:
    return path.startswith(_BELOW) and path[len(_BELOW) :].partition("/")[0] in _OPEN
