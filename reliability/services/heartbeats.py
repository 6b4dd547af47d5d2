"""Take what jobs report: most reports by two statements, the others the long way."""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from core import volatile
from core.errors import TooManyError
from core.masking import mask
from notifications.engine.base import storable
from reliability.engine.heartbeats import Job, Kind, Report, Rhythm, Status, lasted_ms, take
from reliability.engine.strikes import State
from reliability.models.heartbeats import MAX_BODY
from reliability.services.job_states import Said, judge_duration, take_report, words
from reliability.services.rhythms import valid_until

if TYPE_CHECKING:
    from uuid import UUID

logger = logging.getLogger(__name__)

MAX_RUN_ID: Final = 100


def ping(
    *,
    token: UUID,
    kind: Kind,
    exit_code: int | None = None,
    run_id: str = "",
    address: str | None = None,
    body: str = "",
) -> bool:
    """Take one report; False if nobody has this address.

    Most reports change nothing but times: these cost two statements. All others go the long way
    with locks. An exit code other than 0 makes a success a failure.
    """
    if exit_code:
        kind = Kind.FAIL
    said = Said(kind, timezone.now(), exit_code, run_id[:MAX_RUN_ID], address, _kept(body))
    found = _of_token(token)
    if found is None:
        return False
    # Each job has a limit of its own: many behind one address do not keep each other from it.
    decision = volatile.allow(
        key=f"heartbeat:{found['check_id']}", limit=settings.OPS_RATE_LIMIT, period_seconds=60
    )
    if not decision.allowed:
        wait = math.ceil(decision.retry_after_seconds)
        message = "This job reports too often; report again later."
        raise TooManyError(message, retry_after=max(1, wait))
    if not (_is_plain(found, said) and _take_plain(found, said)):
        take_report(check_id=found["check_id"], said=said)
    return True


def is_known(token: UUID) -> bool:
    """Tell whether somebody reports by this address; nothing is counted."""
    return _of_token(token) is not None


def _of_token(token: UUID) -> dict[str, Any] | None:
    return _find("h.token = %s", token if connection.vendor == "postgresql" else token.hex)


def report(*, job: str, said: Said) -> bool:
    """Take what a job of the platform itself reports; False if it has no heartbeat."""
    found = _find("h.job = %s", job)
    if found is None:
        return False
    if not (_is_plain(found, said) and _take_plain(found, said)):
        take_report(check_id=found["check_id"], said=said)
    return True


def _kept(body: str) -> str:
    """Return what of a body is stored: storable text without secrets."""
    return storable(mask(body), limit=MAX_BODY) if body else ""


# Names of our own tables and columns; values are parameters.
_FIND: Final = (
    "SELECT h.check_id, h.status, h.schedule, h.period_seconds, h.cron, h.time_zone, "
    "h.grace_seconds, h.max_runtime_seconds, h.last_success_at, h.started_at, h.run_id, h.due_at, "
    "c.enabled, s.state, s.last_at, s.valid_until "
    "FROM reliability_heartbeat h JOIN reliability_check c ON c.id = h.check_id "
    "JOIN reliability_checkstate s ON s.check_id = h.check_id WHERE "
)
# The state says whether anything has changed since it was read: whoever changes a heartbeat writes
# its state too.
_STATE: Final = (
    "UPDATE reliability_checkstate SET last_at = %s, last_failure = '', last_detail = %s, "
    "valid_until = %s WHERE check_id = %s AND state = %s "
    "AND last_at {same} %s AND valid_until {same} %s RETURNING check_id"
)
_BEAT: Final = (
    "UPDATE reliability_heartbeat SET last_ping_at = %s, last_success_at = %s, "
    "last_duration_ms = coalesce(%s, last_duration_ms), started_at = %s, run_id = %s, due_at = %s "
    "WHERE check_id {which} RETURNING check_id"
)
_PING: Final = (
    "INSERT INTO reliability_heartbeatping "
    "(heartbeat_id, at, kind, exit_code, run_id, duration_ms, address, body) "
)
_ROW: Final = "%s, %s, %s, %s, %s, %s, %s"
_SAME: Final = {"postgresql": "IS NOT DISTINCT FROM", "sqlite": "IS"}
_AT_ONCE: Final = (  # names of our own tables and columns
    f"WITH said AS ({_STATE.format(same=_SAME['postgresql'])}), "  # noqa: S608
    f"beat AS ({_BEAT.format(which='IN (SELECT check_id FROM said)')}) "
    f"{_PING} SELECT check_id, %s::timestamptz, %s, %s::smallint, %s, %s::bigint, %s::inet, %s "
    "FROM beat RETURNING id"
)
_STATE_ALONE: Final = _STATE.format(same=_SAME["sqlite"])
_BEAT_ALONE: Final = _BEAT.format(which="= %s")
_PING_ALONE: Final = f"{_PING} VALUES (%s, {_ROW})"
_TIMES: Final = ("last_success_at", "started_at", "due_at", "last_at", "valid_until")


def _find(condition: str, value: str | UUID) -> dict[str, Any] | None:
    with connection.cursor() as cursor:
        cursor.execute(_FIND + condition, [value])
        row = cursor.fetchone()
        if row is None:
            return None
        names = [column[0] for column in cursor.description or ()]
    found = dict(zip(names, row, strict=True))
    if connection.vendor == "sqlite":
        for name in _TIMES:
            found[name] = _read_time(found[name])
    return found


def _read_time(value: str | datetime | None) -> datetime | None:
    """Return a moment as SQLite stores it: text, or naive, and always UTC."""
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC)


def _job_of(found: dict[str, Any]) -> Job:
    return Job(
        Status(found["status"]),
        found["last_success_at"],
        found["started_at"],
        found["run_id"],
        found["due_at"],
    )


def _rhythm_of(found: dict[str, Any]) -> Rhythm:
    """Return the rhythm of a row; making a model of it would cost a tenth of the whole."""
    return Rhythm(
        period_seconds=found["period_seconds"],
        grace_seconds=found["grace_seconds"],
        cron=found["cron"] if found["schedule"] == "cron" else "",
        zone=found["time_zone"],
        max_runtime_seconds=found["max_runtime_seconds"],
    )


def _is_plain(found: dict[str, Any], said: Said) -> bool:
    """Tell whether a report only moves times: the job is up, and the run is the newest."""
    return (
        bool(found["enabled"])
        and found["status"] == Status.UP
        and found["state"] == State.UP
        and said.kind in {Kind.SUCCESS, Kind.START}
        and (said.kind is Kind.START or not said.run_id or said.run_id == found["run_id"])
    )


def _take_plain(found: dict[str, Any], said: Said) -> bool:
    """Write a report that only moves times; False if something has changed meanwhile."""
    before = _job_of(found)
    after = take(before, _rhythm_of(found), Report(said.kind, said.at, said.run_id))
    spent = lasted_ms(before.started_at, said.at) if said.kind is Kind.SUCCESS else None
    adapt = connection.ops.adapt_datetimefield_value
    state = [
        adapt(said.at),
        words(said, spent),
        adapt(valid_until(after.due_at)),
        found["check_id"],
        found["state"],
        adapt(found["last_at"]) if found["last_at"] else None,
        adapt(found["valid_until"]) if found["valid_until"] else None,
    ]
    beat = [
        adapt(said.at),
        adapt(after.last_success_at) if after.last_success_at else None,
        spent,
        adapt(after.started_at) if after.started_at else None,
        after.run_id,
        adapt(after.due_at) if after.due_at else None,
    ]
    ping_row = [
        adapt(said.at),
        said.kind.value,
        said.exit_code,
        said.run_id,
        spent,
        said.address,
        said.body,
    ]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_AT_ONCE, [*state, *beat, *ping_row])
            is_taken = cursor.fetchone() is not None
    else:
        is_taken = _together.write(_Write(found["check_id"], state, beat, ping_row))
    if is_taken and spent is not None:
        try:
            judge_duration(found["check_id"], spent, said.at)
        except Exception:
            # The report is stored; its job must not report again. The next run is judged anew.
            logger.exception("How long a run took could not be judged.")
    return is_taken


class _Together:
    """Writes of several threads in one transaction: on SQLite each commit waits for the disk.

    Whoever comes first writes for all who wait by then; an answer is given after the commit.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._line = threading.Lock()
        self._waiting: list[_Write] = []

    def write(self, wanted: _Write) -> bool:
        """Write with others, or alone within a transaction of the caller's own."""
        if connection.in_atomic_block:
            return _in_turn(wanted)
        with self._line:
            self._waiting.append(wanted)
        with self._turn:
            if not wanted.is_over:
                self._write_all()
        if wanted.error is not None:
            raise wanted.error
        return wanted.is_taken

    def _write_all(self) -> None:
        with self._line:
            batch, self._waiting = self._waiting, []
        try:
            _commit(batch)
        except OperationalError as error:
            # The file is away or locked, for each of them: nobody waits for that again and again.
            for wanted in batch:
                wanted.error = error
        except Exception:  # noqa: BLE001  # whose it is shows when each is written alone
            for wanted in batch:
                try:
                    _commit([wanted])
                except Exception as error:  # noqa: BLE001  # raised in the thread that waits
                    wanted.error = error
        for wanted in batch:
            wanted.is_over = True


@dataclass(slots=True)
class _Write:
    """One report on its way into the database."""

    check_id: int
    state: list[Any]
    beat: list[Any]
    ping: list[Any]
    is_over: bool = False
    is_taken: bool = False
    error: Exception | None = None


def _commit(batch: list[_Write]) -> None:
    """Write all of them, or none."""
    with transaction.atomic():
        taken = [_in_turn(wanted) for wanted in batch]
    for wanted, is_taken in zip(batch, taken, strict=True):
        wanted.is_taken = is_taken


def _in_turn(wanted: _Write) -> bool:
    """Write the same one statement after the other: SQLite changes no rows within a WITH."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE_ALONE, wanted.state)
        if cursor.fetchone() is None:
            return False
        cursor.execute(_BEAT_ALONE, [*wanted.beat, wanted.check_id])
        cursor.execute(_PING_ALONE, [wanted.check_id, *wanted.ping])
    return True


_together: Final = _Together()
