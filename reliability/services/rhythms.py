"""The rhythm of a heartbeat: set and changed along with its check."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict

from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import changes, record
from core.errors import InvalidInputError, NotFoundError
from reliability.engine.heartbeats import Rhythm, Status
from reliability.models import Check, CheckState, Heartbeat
from reliability.services.validation import validate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.actors import Actor

SLACK: Final = timedelta(seconds=30)
"""How long after its deadline a heartbeat still says what it said: until the sweep has looked."""
FOREVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""A job that failed stays failed until it reports again."""


class HeartbeatFields(TypedDict, total=False):
    """What may be set on a heartbeat."""

    schedule: str
    period_seconds: int
    cron: str
    time_zone: str
    grace_seconds: int
    max_runtime_seconds: int | None


HEARTBEAT_FIELDS: Final = tuple(HeartbeatFields.__annotations__)


def rhythm_of(heartbeat: Heartbeat) -> Rhythm:
    """Return the rhythm of a heartbeat."""
    is_cron = heartbeat.schedule == Heartbeat.Schedule.CRON
    return Rhythm(
        period_seconds=heartbeat.period_seconds,
        grace_seconds=heartbeat.grace_seconds,
        cron=heartbeat.cron if is_cron else "",
        zone=heartbeat.time_zone,
        max_runtime_seconds=heartbeat.max_runtime_seconds,
    )


def told(heartbeat: Heartbeat) -> dict[str, Any]:
    """Return what the audit log may tell of it: all but the token."""
    return {name: getattr(heartbeat, name) for name in HEARTBEAT_FIELDS}


def begin(*, check: Check, fields: Mapping[str, Any], job: str = "") -> Heartbeat:
    """Give a new check of the kind heartbeat its rhythm and its token, inside its act."""
    heartbeat = Heartbeat(check_of=check, job=job)
    _fill(heartbeat, fields)
    _validate(heartbeat)
    heartbeat.save(force_insert=True)
    return heartbeat


def change(*, check: Check, fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Change the rhythm inside the act of its check; return what it was and what it is.

    The caller holds the lock on the check's state. What is due by the new rhythm already gets the
    grace from now on: a new rule alerts nobody for the past.
    """
    heartbeat = Heartbeat.objects.select_for_update(of=("self",)).get(pk=check.pk)
    before = told(heartbeat)
    _fill(heartbeat, fields)
    old, new = changes(before, told(heartbeat))
    if not new:
        return {}, {}
    _validate(heartbeat)
    heartbeat.due_at = _due_now(heartbeat)
    heartbeat.save(force_update=True, update_fields=[*HEARTBEAT_FIELDS, "due_at"])
    CheckState.objects.filter(pk=check.pk, valid_until__isnull=False, standing="up").update(
        valid_until=valid_until(heartbeat.due_at)
    )
    return old, new


def rest(*, check: Check) -> None:
    """Forget what is due, inside the act that switches the check off: its job may be off too."""
    Heartbeat.objects.filter(pk=check.pk).update(
        status=Status.NEW, started_at=None, run_id="", due_at=None
    )


@audited
def rotate_token(*, actor: Actor, check_id: int) -> Heartbeat:
    """Give a heartbeat a new address; the old one answers 404 from now on."""
    heartbeat = (
        Heartbeat.objects.select_for_update(of=("self",))
        .select_related("check_of__service")
        .defer("check_of__headers")
        .filter(pk=check_id)
        .first()
    )
    if heartbeat is None:
        message = "There is no such heartbeat."
        raise NotFoundError(message)
    if heartbeat.job:
        message = "A job of the platform reports itself and has no address."
        raise InvalidInputError(message)
    heartbeat.token = uuid.uuid4()
    heartbeat.save(force_update=True, update_fields=["token"])
    record(actor=actor, action="heartbeat.token_rotated", target=heartbeat.check_of)
    return heartbeat


def valid_until(due_at: datetime | None) -> datetime:
    """Return until when the state of a heartbeat may be told that is due then."""
    return due_at + SLACK if due_at is not None else FOREVER


def _fill(heartbeat: Heartbeat, fields: Mapping[str, Any]) -> None:
    unknown = sorted(set(fields) - set(HEARTBEAT_FIELDS))
    if unknown:
        message = f"A heartbeat has no {unknown[0]}."
        raise InvalidInputError(message, errors={"heartbeat": [message]})
    for name, value in fields.items():
        setattr(heartbeat, name, value.strip() if isinstance(value, str) else value)


def _validate(heartbeat: Heartbeat) -> None:
    """Name the fields of the heartbeat as those of the check's form: `cron`, `period_seconds`."""
    validate(heartbeat, exclude=("check_of",))


def _due_now(heartbeat: Heartbeat) -> datetime | None:
    if heartbeat.status != Heartbeat.Status.UP:
        return heartbeat.due_at
    rhythm = rhythm_of(heartbeat)
    earliest = timezone.now() + timedelta(seconds=heartbeat.grace_seconds)
    if heartbeat.started_at is not None:
        return max(rhythm.overrun_after(heartbeat.started_at), earliest)
    due_at = rhythm.due_after(heartbeat.last_success_at or timezone.now())
    return max(due_at, earliest) if due_at is not None else None
