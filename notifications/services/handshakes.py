"""Who wants to connect: judged by what needs the database, in one visit to a thread."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from accounts.authentication.console_sessions import (
    PasswordChangeRequiredError,
    bearer_of_session,
)
from accounts.authentication.dashboard_keys import bearer_of_key
from core import tracing, volatile
from core.ratelimit import subject_of
from notifications.engine import frames
from notifications.engine.audiences import ASKED, allowed_topics, audiences_of
from notifications.selectors import positions
from notifications.services.livehub import SPREAD_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accounts.selectors.bearers import Bearer
    from notifications.selectors import Position


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
    session: str, key: str | None, number: str, take_slot: Callable[[str], bool]
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
    if key is not None:
        # A header beats the cookie, also a wrong one.
        return known_by_key(key, number, take_slot)
    if not session:
        return None
    try:
        found = bearer_of_session(session, ASKED)
    except PasswordChangeRequiredError as error:
        raise EndedError(frames.FORBIDDEN, "choose a password first") from error
    if found is None:
        raise EndedError(frames.NOT_AUTHENTICATED, "sign in first")
    return _known(*found, number, take_slot)


def known_by_key(key: str, number: str, take_slot: Callable[[str], bool]) -> Known:
    """Return who holds a key; raise EndedError for one that nobody has."""
    found = bearer_of_key(key, ASKED, path=settings.WS_PATH)
    if found is None:
        raise EndedError(frames.NOT_AUTHENTICATED, "the key is not known")
    return _known(*found, number, take_slot)


def _known(
    bearer: Bearer, granted: frozenset[str], number: str, take_slot: Callable[[str], bool]
) -> Known:
    audiences = audiences_of(allowed_topics(granted), bearer.user_id)
    where = positions(audiences, bearer.user_id)
    return Known(bearer, granted, where, has_slot=take_slot(number))


def spread_ms() -> int:
    """Return after how long a client is to come back, so that not all come at once."""
    return random.randrange(1_000, SPREAD_MS)  # noqa: S311  # no secret depends on it
