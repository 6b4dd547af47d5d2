"""What the reports of a job mean: when the next is due, where the job stands, what is unusual."""

from __future__ import annotations

import enum
import statistics
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from reliability.engine.recurrence import cron_after

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_RUNTIME: Final = 60
"""With a shorter grace and no longest run, a run may still take so many seconds."""
RUNS_COMPARED: Final = 20
FEWEST_RUNS: Final = 8
"""With fewer runs before it nobody can say what is usual."""

# A normal spread is 1.4826 times the median deviation; four of them are rare.
_SPREAD: Final = 4 * 1.4826
_LEAST_SHARE: Final = 0.5
_LEAST_MS: Final = 1_000


class Kind(enum.StrEnum):
    """What a job reports."""

    SUCCESS = "success"
    START = "start"
    FAIL = "fail"
    LOG = "log"


class Status(enum.StrEnum):
    """Where a job stands by its own reports."""

    NEW = "new"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a job has to report, and how long it may run."""

    period_seconds: int
    grace_seconds: int
    cron: str = ""
    zone: str = "UTC"
    max_runtime_seconds: int | None = None

    def due_after(self, success_at: datetime) -> datetime | None:
        """Return when the report after this success is late; None if none will ever be due."""
        expected = success_at + timedelta(seconds=self.period_seconds)
        if self.cron:
            found = next(cron_after(self.cron, self.zone, success_at), None)
            if found is None:
                return None
            expected = found
        return expected + timedelta(seconds=self.grace_seconds)

    def overrun_after(self, started_at: datetime) -> datetime:
        """Return when a run that began then has taken too long."""
        longest = self.max_runtime_seconds or max(self.grace_seconds, LEAST_RUNTIME)
        return started_at + timedelta(seconds=longest)


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that a job said. `is_old` marks the run before the newest that has begun."""

    kind: Kind
    at: datetime
    run_id: str = ""
    is_old: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """Where a job stands; `run_id` is that of the newest run, also after its end."""

    status: Status = Status.NEW
    last_success_at: datetime | None = None
    started_at: datetime | None = None
    run_id: str = ""
    due_at: datetime | None = None


def take(job: Job, rhythm: Rhythm, report: Report) -> Job:
    """Return where the job stands after a report.

    A start within time moves the deadline to the end of the run. What an old run says late never
    overrules a newer one, except that a success while the newer still runs is a success.
    """
    if report.kind is Kind.LOG:
        return job
    if report.kind is Kind.START:
        due_at = rhythm.overrun_after(report.at) if job.status is not Status.DOWN else None
        return replace(job, started_at=report.at, run_id=report.run_id, due_at=due_at)
    if report.is_old:
        if report.kind is Kind.FAIL or job.started_at is None:
            return job
        due_at = rhythm.overrun_after(job.started_at)
        return replace(job, status=Status.UP, last_success_at=report.at, due_at=due_at)
    if report.kind is Kind.FAIL:
        return replace(job, status=Status.DOWN, started_at=None, due_at=None)
    return replace(
        job,
        status=Status.UP,
        last_success_at=report.at,
        started_at=None,
        due_at=rhythm.due_after(report.at),
    )


def lasted_ms(started_at: datetime | None, at: datetime) -> int | None:
    """Return how long a run took; nothing if no start is known or the clock was set back."""
    if started_at is None or at < started_at:
        return None
    return (at - started_at) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Usual:
    """Between which durations the runs of a job usually end."""

    low_ms: int
    high_ms: int

    def has(self, duration_ms: int) -> bool:
        """Tell whether a run is like the others."""
        return self.low_ms <= duration_ms <= self.high_ms


def usual(durations_ms: Sequence[int]) -> Usual | None:
    """Return the robust range of the last runs; None with too few of them.

    Around the median, by the median deviation from it: one odd run does not widen the range. It is
    never narrower than half the median, or a second, to either side.
    """
    if len(durations_ms) < FEWEST_RUNS:
        return None
    middle = statistics.median(durations_ms)
    deviation = statistics.median(abs(value - middle) for value in durations_ms)
    room = max(_SPREAD * deviation, _LEAST_SHARE * middle, _LEAST_MS)
    return Usual(max(round(middle - room), 0), round(middle + room))


def told(moment: datetime) -> str:
    """Return a moment as alerts write it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
