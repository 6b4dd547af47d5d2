"""Write what checks say: their states and the stretches of time behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import DateTimeField, F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from reliability.engine.strikes import Standing, State
from reliability.models import CheckState, StateSegment

if TYPE_CHECKING:
    from datetime import datetime

    from reliability.engine.strikes import Shift


def shift(*, check_id: int, change: Shift, reason: str = "") -> bool:
    """Close the open segment and begin the next; False if the open one is not what was expected.

    A flush that is repeated after it had been committed finds nothing to close.
    """
    is_open = StateSegment.objects.filter(check_of=check_id, ended_at=None, standing=change.before)
    if change.restart:
        # What began at a later time than the clock shows now ends where it began.
        closed = is_open.update(
            ended_at=Greatest(F("started_at"), Value(change.at, DateTimeField()))
        )
    else:
        closed = is_open.filter(started_at__lte=change.at).update(ended_at=change.at)
    if closed:
        _open(check_id, change.after, change.at, reason)
    return bool(closed)


def reset(*, state: CheckState, reason: str) -> None:
    """Forget what a locked check says, as if it were new."""
    now = max(timezone.now(), state.since)
    StateSegment.objects.filter(check_of=state.pk, ended_at=None).update(ended_at=now)
    _open(state.pk, Standing.UNKNOWN, now, reason)
    fresh = CheckState(check_of_id=state.pk, state=State.UNKNOWN, since=now)
    fresh.save(force_update=True)


def forget_certificate(*, state: CheckState) -> None:
    """Forget the certificate of a locked check that asks somebody else from now on."""
    CheckState.objects.filter(pk=state.pk).update(cert_not_after=None, cert_fingerprint="")


def _open(check_id: int, standing: Standing, at: datetime, reason: str) -> None:
    StateSegment.objects.create(
        check_of_id=check_id, standing=standing.value, started_at=at, reason=reason[:200]
    )
