"""Let checks stand where the reports of their jobs put them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from core.actors import Actor
from core.http import Phases
from reliability.engine.heartbeats import (
    RUNS_COMPARED,
    Job,
    Kind,
    Report,
    Status,
    lasted_ms,
    take,
    usual,
)
from reliability.engine.probe import Failure, Result
from reliability.engine.rules import HEARTBEAT_UNUSUAL
from reliability.engine.strikes import Shift, Standing, State
from reliability.models import Check, CheckState, Heartbeat, HeartbeatPing
from reliability.selectors import heartbeats
from reliability.services import alerts, check_alerts, news, standings
from reliability.services.rhythms import FOREVER, rhythm_of, valid_until

ACTOR: Final = Actor.schedule("heartbeats")
_MINUTES_FROM: Final = 120


@dataclass(frozen=True, slots=True)
class Said:
    """One report as it came in."""

    kind: Kind
    at: datetime
    exit_code: int | None = None
    run_id: str = ""
    address: str | None = None
    body: str = ""


@transaction.atomic
def take_report(*, check_id: int, said: Said) -> None:
    """Take one report with the check's state locked; it may turn what the check stands for."""
    state, heartbeat = locked(check_id)
    if state is None or heartbeat is None:
        return
    before = Job(
        Status(heartbeat.status),
        heartbeat.last_success_at,
        heartbeat.started_at,
        heartbeat.run_id,
        heartbeat.due_at,
    )
    spent, is_old = _run_of(before, check_id, said)
    HeartbeatPing.objects.create(
        heartbeat=heartbeat,
        at=said.at,
        kind=said.kind,
        exit_code=said.exit_code,
        run_id=said.run_id,
        duration_ms=spent,
        address=said.address,
        body=said.body,
    )
    heartbeat.last_ping_at = said.at
    if spent is not None and said.kind is Kind.SUCCESS and not is_old:
        heartbeat.last_duration_ms = spent
    check = heartbeat.check_of
    if not check.enabled or said.kind is Kind.LOG:
        # A job whose check is off may report: that is kept, and changes nothing.
        heartbeat.save(force_update=True, update_fields=["last_ping_at"])
        return
    after = take(before, rhythm_of(heartbeat), Report(said.kind, said.at, said.run_id, is_old))
    _write(heartbeat, after)
    _follow(check, state, before, after, said, spent, is_old=is_old)
    if spent is not None and said.kind is Kind.SUCCESS:
        judge_duration(check_id, spent, said.at)


def _run_of(job: Job, check_id: int, said: Said) -> tuple[int | None, bool]:
    """Return how long the run took that a report ends, and whether a newer one has begun since."""
    if said.kind not in {Kind.SUCCESS, Kind.FAIL}:
        return None, False
    if not said.run_id or said.run_id == job.run_id:
        return lasted_ms(job.started_at, said.at), False
    began = heartbeats.began_at(check_id, said.run_id)
    return lasted_ms(began, said.at), began is not None


def locked(check_id: int) -> tuple[CheckState | None, Heartbeat | None]:
    """Lock the state first, as everybody does who changes a check or a heartbeat."""
    state = CheckState.objects.select_for_update().filter(pk=check_id).first()
    heartbeat = (
        Heartbeat.objects.select_for_update(of=("self",))
        .select_related("check_of__service")
        .defer("check_of__headers")
        .filter(pk=check_id)
        .first()
    )
    return state, heartbeat


def _write(heartbeat: Heartbeat, after: Job) -> None:
    heartbeat.status = after.status
    heartbeat.last_success_at = after.last_success_at
    heartbeat.started_at = after.started_at
    heartbeat.run_id = after.run_id
    heartbeat.due_at = after.due_at
    heartbeat.save(
        force_update=True,
        update_fields=[
            "status",
            "last_success_at",
            "started_at",
            "run_id",
            "due_at",
            "last_ping_at",
            "last_duration_ms",
        ],
    )


def _follow(
    check: Check,
    state: CheckState,
    before: Job,
    after: Job,
    said: Said,
    spent: int | None,
    *,
    is_old: bool,
) -> None:
    """Let the state of the check follow where its job stands now."""
    if is_old and after == before:
        # A newer run has said better.
        return
    if after.status is Status.DOWN and said.kind is Kind.FAIL:
        result = result_of(check.pk, said.at, Failure.REPORTED, words(said, spent), said.body)
        turn(check=check, state=state, to=State.DOWN, at=said.at, result=result, until=FOREVER)
    elif after.status is Status.UP:
        result = result_of(check.pk, said.at, None, words(said, spent))
        until = valid_until(after.due_at)
        # A run that begins proves nothing: who was unknown stays so until it has ended.
        to = State.UP if said.kind is Kind.SUCCESS else State(state.state)
        turn(check=check, state=state, to=to, at=said.at, result=result, until=until)
    elif said.kind is Kind.START:
        state.last_at, state.last_detail = said.at, words(said, spent)
        state.save(force_update=True, update_fields=["last_at", "last_detail"])


def turn(
    *,
    check: Check,
    state: CheckState,
    to: State,
    at: datetime,
    result: Result | None,
    until: datetime | None,
) -> None:
    """Write what a heartbeat says now, and turn what it stands for if that is another thing."""
    standing = Standing(to.value)
    # A clock that was set back makes no negative time.
    at = max(at, state.since)
    if state.standing != standing:
        outcome = result or result_of(check.pk, at, None, "")
        change = Shift(at, Standing(state.standing), standing)
        if standings.turn(actor=ACTOR, check=check, state=state, change=change, result=outcome):
            state.standing, state.since = standing.value, at
            state.state = to.value
            news.service_changed(service_id=check.service_id, check_id=check.pk, state=to.value)
    if result is not None:
        if result.failure in {None, Failure.REPORTED}:
            state.last_at = result.at
        state.last_failure = result.failure or ""
        state.last_detail = result.detail[:200]
    state.valid_until = until
    state.save(
        force_update=True,
        update_fields=[
            "state",
            "standing",
            "since",
            "last_at",
            "last_failure",
            "last_detail",
            "valid_until",
        ],
    )


def words(said: Said, spent: int | None) -> str:
    """Return what lists show of a report."""
    after = f" after {_seconds(spent)}" if spent is not None else ""
    if said.kind is Kind.START:
        return "Running"
    if said.kind is Kind.SUCCESS:
        return f"Succeeded{after}"
    if said.exit_code:
        return f"Ended with exit code {said.exit_code}{after}"
    return f"Reported a failure{after}"


def _seconds(spent: int) -> str:
    seconds = spent / 1000
    if seconds < _MINUTES_FROM:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))


def result_of(
    check_id: int, at: datetime, failure: Failure | None, detail: str, excerpt: str = ""
) -> Result:
    """Return a report, or the lack of one, as the result that a probe would have found."""
    return Result(
        check_id=check_id,
        at=at,
        ok=failure is None,
        latency_ms=0.0,
        phases=Phases(),
        status_code=None,
        failure=failure,
        detail=detail,
        excerpt=excerpt,
    )


def judge_duration(check_id: int, spent: int, at: datetime) -> None:
    """Tell of a run that took quite another time than the last ones, and of the end of that."""
    runs = heartbeats.last_durations(check_id, most=RUNS_COMPARED + 1)[1:]
    limits = usual(runs)
    if limits is None:
        return
    check = Check.objects.select_related("service").defer("headers").filter(pk=check_id).first()
    if check is None:
        # Somebody has deleted it since its job reported.
        return
    key = check_alerts.key_of(check)
    with transaction.atomic():
        if limits.has(spent):
            alerts.resolve(
                actor=ACTOR,
                rule=HEARTBEAT_UNUSUAL,
                key=key,
                at=at,
                text=f"A run took {_seconds(spent)}, as usual.",
                what="takes its usual time again",
            )
            return
        alerts.fire(
            actor=ACTOR,
            rule=HEARTBEAT_UNUSUAL,
            key=key,
            title=f"{check}: a run took {_seconds(spent)}",
            detail=f"Its last {len(runs)} runs took {_seconds(limits.low_ms)} to "
            f"{_seconds(limits.high_ms)}. Look at what it had to do, or at its machine.",
            at=at,
            service=check.service,
            check=check,
        )
