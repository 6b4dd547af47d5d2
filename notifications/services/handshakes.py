"""Who wants to connect: judged by what needs the database, in one visit to a thread."""

from __future__ import annotations

import math
import random
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.conf import settings

from accounts.authentication.bearers import bearer_of_credential, bearer_of_session
from accounts.authentication.credentials import credential_of_frame
from core import tracing, volatile
from core.errors import DomainError, UnavailableError
from core.ratelimit import subject_of
from notifications.engine import frames
from notifications.engine.audiences import ASKED, allowed_topics, audiences_of
from notifications.selectors import positions
from notifications.services.livehub import SPREAD_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from accounts.authentication.bearers import Found
    from accounts.authentication.credentials import Credential
    from accounts.selectors.bearers import Bearer
    from notifications.selectors import Position


_WHY: Final = {
    "password-change-required": "choose a password first",
    "enrolment-required": "set up a second factor first",
    "address-refused": "not from this network",
}


class EndedError(Exception):
    """The connection is over, or is to be: with this code."""

    def __init__(self, code: int, reason: str = "", *, retry_ms: int = -1) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.retry_ms = retry_ms


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a handshake is answered by HTTP."""

    status: int
    detail: str
    retry_after_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """Whoever is behind a connection, and what hello says."""

    bearer: Bearer
    granted: frozenset[str]
    where: Mapping[str, Position]
    has_slot: bool


def admitted(
    session: str, given: Credential | None, number: str, take_slot: Callable[[str], bool]
) -> Known | Refusal | None:
    """Judge a handshake by what needs the database: rate, credentials, place."""
    decision = volatile.allow(
        key=f"socket:{subject_of(tracing.current().address)}",
        limit=settings.OPS_RATE_LIMIT,
        period_seconds=60,
    )
    if not decision.allowed:
        seconds = max(1, math.ceil(decision.retry_after_seconds))
        return Refusal(429, "Too many connections; wait and try again.", seconds)
    if given is not None:
        # A header beats the cookie, also a wrong one.
        return _known_by(given, number, take_slot)
    if not session:
        return None
    with _closing():
        return _known(bearer_of_session(session, ASKED), "sign in first", number, take_slot)


def known_by_key(key: str, number: str, take_slot: Callable[[str], bool]) -> Known:
    """Return who sent a token or key as first frame; raise EndedError for one that is not valid."""
    return _known_by(credential_of_frame(key), number, take_slot)


def _known_by(given: Credential, number: str, take_slot: Callable[[str], bool]) -> Known:
    with _closing():
        found = bearer_of_credential(given, ASKED, path=settings.WS_PATH)
        return _known(found, "the key is not known", number, take_slot)


@contextmanager
def _closing() -> Iterator[None]:
    """Tell by a code why somebody may not come in: a browser sees no answer of HTTP."""
    try:
        yield
    except UnavailableError as error:
        raise EndedError(frames.FULL, "unavailable", retry_ms=spread_ms()) from error
    except DomainError as error:
        raise EndedError(frames.FORBIDDEN, _WHY.get(error.code, "not allowed")) from error


def _known(found: Found | None, why: str, number: str, take_slot: Callable[[str], bool]) -> Known:
    if found is None:
        raise EndedError(frames.NOT_AUTHENTICATED, why)
    bearer, granted = found
    audiences = audiences_of(allowed_topics(granted), bearer.user_id)
    where = positions(audiences, bearer.user_id)
    return Known(bearer, granted, where, has_slot=take_slot(number))


def spread_ms() -> int:
    """Return after how long a client is to come back, so that not all come at once."""
    return random.randrange(1_000, SPREAD_MS)  # noqa: S311  # no secret depends on it
