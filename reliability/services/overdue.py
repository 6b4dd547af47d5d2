"""Notice what jobs do not report, and move what was due while nobody watched."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from reliability.engine.heartbeats import Status, told
from reliability.engine.probe import Failure
from reliability.engine.strikes import Standing, State
from reliability.models import Blackout, CheckState, Heartbeat
from reliability.services.job_states import locked, result_of, turn
from reliability.services.rhythms import FOREVER, valid_until

if TYPE_CHECKING:
    from datetime import datetime

logger = logging.getLogger(__name__)

AWAY: Final = (OperationalError, InterfaceError)
BATCH: Final = 100
"""How many heartbeats the sweep takes at a time."""


def sweep(*, now: datetime | None = None) -> int:
    """Turn down every heartbeat whose deadline has passed; return how many.

    While the platform's own network is gone, reports from outside cannot arrive: only the
    platform's own jobs are judged then. After a blackout none is judged before all are moved. Two
    sweeps at once share the rows.
    """
    when = now or timezone.now()
    unsettled = set(Blackout.objects.filter(settled_at=None).values_list("kind", flat=True))
    if Blackout.Kind.STOPPED in unsettled:
        return 0
    is_offline = Blackout.Kind.OFFLINE in unsettled
    count = 0
    last = 0
    while True:
        due = Heartbeat.objects.filter(pk__gt=last, due_at__lt=when, check_of__enabled=True)
        if is_offline:
            due = due.exclude(job="")
        keys = list(due.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not keys:
            return count
        last = keys[-1]
        count += sum(_miss(check_id, when) for check_id in keys)


@transaction.atomic
def _miss(check_id: int, now: datetime) -> bool:
    """Turn one heartbeat down; False if somebody else did, or its job has reported meanwhile."""
    skips = connection.features.has_select_for_update_skip_locked
    state = CheckState.objects.select_for_update(skip_locked=skips).filter(pk=check_id).first()
    heartbeat = (
        Heartbeat.objects.select_for_update(of=("self",))
        .select_related("check_of__service")
        .defer("check_of__headers")
        .filter(pk=check_id, due_at__lt=now, check_of__enabled=True)
        .first()
        if state is not None
        else None
    )
    if state is None or heartbeat is None or heartbeat.due_at is None:
        return False
    due_at, started_at, status = heartbeat.due_at, heartbeat.started_at, heartbeat.status
    taken = Heartbeat.objects.filter(pk=check_id, status=status, due_at=due_at).update(
        status=Status.DOWN, started_at=None, due_at=None
    )
    if not taken:
        return False
    if started_at is not None:
        allowed = round((due_at - started_at).total_seconds())
        failure = Failure.OVERRUN
        detail = f"The run that began at {told(started_at)} has not ended within {allowed} s"
    else:
        failure = Failure.MISSED
        since = heartbeat.last_success_at
        last = f"No success since {told(since)}" if since else "No success so far"
        detail = f"{last}; it was due by {told(due_at)}"
    result = result_of(check_id, due_at, failure, detail)
    check = heartbeat.check_of
    turn(check=check, state=state, to=State.DOWN, at=due_at, result=result, until=FOREVER)
    return True


def postpone(blackout: Blackout) -> int:
    """Move what was due while nobody watched, and say that nobody knows; return how many.

    A deadline within that time moves by the whole of it. Until its job reports, or the new deadline
    passes, nobody knows how it stands; what was down before goes on being down after it.
    """
    start, end = blackout.started_at, blackout.ended_at
    if end is None:
        return 0
    hit = Heartbeat.objects.filter(
        Q(status=Status.DOWN) | Q(due_at__gte=start, due_at__lte=end), check_of__enabled=True
    )
    if blackout.kind == Blackout.Kind.OFFLINE:
        hit = hit.filter(job="")
    count, last = 0, blackout.settled_upto
    while True:
        keys = list(hit.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not keys:
            return count
        last = keys[-1]
        count += sum(_postpone_or_skip(key, blackout.pk, start, end) for key in keys)


def _postpone_or_skip(check_id: int, blackout_id: int, start: datetime, end: datetime) -> bool:
    """Move one deadline; one that cannot be moved does not keep all others from being judged."""
    try:
        return _postpone_once(check_id, blackout_id, start, end)
    except AWAY:
        raise
    except Exception:
        logger.exception("A deadline within a blackout could not be moved.")
        Blackout.objects.filter(pk=blackout_id).update(settled_upto=check_id)
        return False


@transaction.atomic
def _postpone_once(check_id: int, blackout_id: int, start: datetime, end: datetime) -> bool:
    """Move one deadline and note that with it; False if it is not to be moved, or was before."""
    open_here = Blackout.objects.filter(pk=blackout_id, settled_upto__lt=check_id, settled_at=None)
    return bool(open_here.update(settled_upto=check_id)) and _postpone(check_id, start, end)


def _postpone(check_id: int, start: datetime, end: datetime) -> bool:
    state, heartbeat = locked(check_id)
    if state is None or heartbeat is None:
        return False
    check = heartbeat.check_of
    if heartbeat.status == Status.DOWN:
        if state.standing == Standing.DOWN and state.since < start:
            until = state.valid_until
            turn(check=check, state=state, to=State.UNKNOWN, at=start, result=None, until=until)
            last = result_of(check_id, end, Failure(state.last_failure or Failure.MISSED), "")
            last = replace(last, detail=state.last_detail)
            turn(check=check, state=state, to=State.DOWN, at=end, result=last, until=until)
        return False
    due_at = heartbeat.due_at
    if due_at is None or not start <= due_at <= end:
        return False
    moved = due_at + (end - start)
    Heartbeat.objects.filter(pk=check_id).update(due_at=moved)
    turn(
        check=check,
        state=state,
        to=State.UNKNOWN,
        at=due_at,
        result=None,
        until=valid_until(moved),
    )
    return True
