"""Turn what a check stands for: its stretch of time, and the alert that follows it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from reliability.engine.strikes import Standing
from reliability.services import answers, check_alerts, states

if TYPE_CHECKING:
    from core.actors import Actor
    from reliability.engine.probe import Result
    from reliability.engine.strikes import Shift
    from reliability.models import Check, CheckState

logger = logging.getLogger(__name__)

_UP: Final = frozenset({Standing.UP, Standing.DEGRADED})


def turn(*, actor: Actor, check: Check, state: CheckState, change: Shift, result: Result) -> bool:
    """Close the open segment, begin the next and let the alert follow, in the caller's transaction.

    False, and nothing is written, if the check stands elsewhere by now. The caller holds the lock
    on `state`, and writes what it says itself.
    """
    reason = answers.detail(result.detail) if change.after is Standing.DOWN else ""
    if not states.shift(check_id=state.pk, change=change, reason=reason):
        logger.warning("Check %s stands elsewhere; its state is read anew.", check.pk)
        return False
    if change.after is Standing.DOWN:
        check_alerts.went_down(actor=actor, check=check, result=result, since=change.at)
    elif change.after in _UP:
        check_alerts.came_up(actor=actor, check=check, since=change.at)
    return True
