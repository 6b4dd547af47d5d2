"""What a check says now: what was found last, as long as that is valid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from django.utils import timezone

from reliability.engine.strikes import Rules, State

if TYPE_CHECKING:
    from datetime import datetime

    from reliability.models.checks import Check
    from reliability.models.states import CheckState


@dataclass(frozen=True, slots=True)
class Says:
    """The state that may be told at this moment, since when, and what was found last.

    The stored state stays as it was while nobody probes. Once its result is older than its
    validity, or without any, nobody knows.
    """

    state: State
    since: datetime
    last: CheckState

    @classmethod
    def of(cls, check: Check) -> Self:
        """Return what a check says now."""
        last = check.state
        if last.last_at is None:
            return cls(State.UNKNOWN, last.since, last)
        expires_at = last.valid_until
        if expires_at is None:
            validity = Rules(check.interval_seconds, check.timeout_seconds).validity
            expires_at = last.last_at + validity
        expires_at = max(expires_at, last.since)
        if timezone.now() > expires_at:
            return cls(State.UNKNOWN, expires_at, last)
        return cls(State(last.state), last.since, last)
