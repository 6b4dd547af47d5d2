"""Run checks now because somebody asked: a look that moves no strikes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from audit.services.acts import act, audited
from audit.services.records import record
from core import jobs
from core.drill import refuse_in_drill
from core.errors import DomainError, InvalidInputError, InvalidTransitionError, NotFoundError
from core.loops import in_thread
from reliability.engine.probe import KINDS
from reliability.engine.prober import probe_once
from reliability.models import Check, UptimeTest
from reliability.selectors import configuration
from reliability.services import answers, news
from reliability.services.probes import concurrency, open_session
from reliability.services.results import store_samples

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection

    from django.db.models import QuerySet

    from core.actors import Actor
    from reliability.engine.probe import Result, Target

# A run that somebody cancels ends within this time.
_HEARTBEAT_SECONDS: Final = 2
# So many results are shown while they come; of a longer run only the progress is.
_SHOWN_EARLY: Final = 200


@audited
def request(*, actor: Actor, check_ids: Collection[int] | None = None) -> UptimeTest:
    """Ask for a run of these checks, or of all that are on; it begins after the commit."""
    refuse_in_drill()
    wanted = Check.objects.order_by("pk").values_list("pk", flat=True)
    ids = list(
        wanted.filter(enabled=True, kind__in=KINDS)
        if check_ids is None
        else wanted.filter(pk__in=check_ids)
    )
    if check_ids is not None and (unknown := set(check_ids) - set(ids)):
        message = "Some checks do not exist."
        raise InvalidInputError(message, errors={"checks": [f"No check {key}." for key in unknown]})
    if check_ids is not None:
        # A heartbeat is asked by nobody.
        ids = list(wanted.filter(pk__in=ids, kind__in=KINDS))
    if not ids:
        message = "There is no check to run."
        raise InvalidInputError(message)
    test = UptimeTest.objects.create(
        check_ids=ids,
        check_count=len(ids),
        requested_by=actor.name[:200],
        asked_by=actor.user_id,
    )
    record(actor=actor, action="uptimetest.requested", target=test, checks=len(ids))
    jobs.ring(test)
    return test


@audited
def cancel(*, actor: Actor, test_id: str) -> UptimeTest:
    """End a run: one that waits at once, one that runs within two seconds.

    Of two who cancel, one does; raises InvalidTransitionError for the other.
    """
    now = timezone.now()
    rows = UptimeTest.objects.filter(pk=test_id)
    waits_or_runs = Q(state=UptimeTest.State.QUEUED) | Q(state=UptimeTest.State.RUNNING)
    asked = rows.filter(waits_or_runs, cancel_requested_at=None).update(cancel_requested_at=now)
    # The first statement holds the row, so that no worker takes it in between.
    rows.filter(state=UptimeTest.State.QUEUED, cancel_requested_at__isnull=False).update(
        state=UptimeTest.State.CANCELLED, finished_at=now
    )
    test = rows.first()
    if test is None:
        message = "There is no such run."
        raise NotFoundError(message)
    if not asked:
        message = (
            "The run is being cancelled already."
            if test.finished_at is None
            else f"The run is {test.get_state_display().lower()} already."
        )
        raise InvalidTransitionError(message)
    record(actor=actor, action="uptimetest.cancelled", target=test)
    if test.state == UptimeTest.State.CANCELLED:
        # One that runs is told of when its worker has let it go.
        _tell_end(test)
    return test


def perform(*, job_id: str) -> bool:
    """Run the checks of a test; return False if it is not waiting, or was taken away meanwhile."""
    lease = jobs.begin(UptimeTest, job_id)
    if lease is None:
        return False
    test = UptimeTest.objects.get(pk=job_id)
    try:
        found = asyncio.run(_run(configuration.targets(test.check_ids), lease))
    except DomainError as error:
        state = UptimeTest.State.FAILED
        return _finish(test, lease, state, error_code=error.code, error=error.message)
    except Exception:
        _finish(
            test,
            lease,
            UptimeTest.State.FAILED,
            error_code="internal",
            error="An unexpected error; see the log of the worker.",
        )
        raise
    if found is None:
        return _finish(test, lease, UptimeTest.State.CANCELLED)
    with transaction.atomic():
        told = UptimeTest.told(_stored(found))
        return _finish(test, lease, UptimeTest.State.DONE, progress=100, **told)


def _finish(
    test: UptimeTest,
    lease: uuid.UUID,
    state: UptimeTest.State,
    **fields: Any,  # noqa: ANN401  # the job's own fields
) -> bool:
    """End the run, and tell the person who asked for it."""
    ended = jobs.finish(UptimeTest, lease, state, **fields)
    if ended:
        test.state, test.failed = state, fields.get("failed", 0)
        _tell_end(test)
    return ended


def tell_end(job_id: uuid.UUID) -> None:
    """Tell the person who asked for a run that no worker will end."""
    test = UptimeTest.objects.defer("check_ids", "results").filter(pk=job_id).first()
    if test is not None:
        _tell_end(test)


def _tell_end(test: UptimeTest) -> None:
    if test.asked_by is None:
        return
    state = UptimeTest.State(test.state)
    done = state == UptimeTest.State.DONE
    news.job_finished(
        user_id=test.asked_by,
        title="Uptime test done" if done else f"Uptime test {state.label.lower()}",
        url=f"/admin/reliability/uptimetest/{test.pk}/change/",
        ok=done and not test.failed,
    )


def run_all(*, actor: Actor) -> list[dict[str, Any]]:
    """Run every check that is on in this process and return what was found."""
    found = asyncio.run(_probe(configuration.targets()))
    with act():
        record(actor=actor, action="uptimetest.performed", checks=len(found))
        return _stored(found)


async def _run(targets: list[Target], lease: uuid.UUID) -> list[Result] | None:
    """Probe and show life; None when the test was cancelled or given to another worker."""
    early: list[Result] = []
    probing = asyncio.create_task(_probe(targets, early.append))
    while True:
        await asyncio.wait({probing}, timeout=_HEARTBEAT_SECONDS)
        if probing.done():
            return probing.result()
        if not await in_thread(_show, lease, early[:], len(targets)):
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
            return None


def _show(lease: uuid.UUID, early: list[Result], count: int) -> bool:
    """Show life, and what was found so far; False when the run is not ours any more."""
    if count <= _SHOWN_EARLY:
        checks = _names().in_bulk([result.check_id for result in early])
        told = [
            _told(checks[result.check_id], result) for result in early if result.check_id in checks
        ]
        UptimeTest.objects.filter(lease=lease, state=UptimeTest.State.RUNNING).update(
            **UptimeTest.told(told)
        )
    return jobs.heartbeat(UptimeTest, lease, progress=100 * len(early) // max(count, 1))


async def _probe(
    targets: list[Target], tell: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    async with open_session() as client:
        return await probe_once(client, targets, limit=concurrency(), tell=tell)


def _names() -> QuerySet[Check]:
    return Check.objects.select_related("service").defer("headers").order_by("pk")


def _stored(found: list[Result]) -> list[dict[str, Any]]:
    """Store results as manual and return them with the names of their checks.

    A check that was deleted meanwhile is left out.
    """
    checks = (
        _names()
        .select_for_update(no_key=True, of=("self",))
        .in_bulk([result.check_id for result in found])
    )
    kept = [result for result in found if result.check_id in checks]
    store_samples(kept, manual=True)
    return [_told(checks[result.check_id], result) for result in kept]


def _told(check: Check, result: Result) -> dict[str, Any]:
    return {
        "check": check.pk,
        "service": check.service.name,
        "name": check.label,
        "url": check.shown_url,
        "at": result.at.isoformat(),
        "ok": result.ok,
        "status_code": result.status_code,
        "failure": result.failure or "",
        "detail": answers.detail(result.detail),
        "latency_ms": round(result.latency_ms, 1),
        "phases": {
            "dns_ms": round(result.phases.dns_ms, 1),
            "connect_ms": round(result.phases.connect_ms, 1),
            "tls_ms": round(result.phases.tls_ms, 1),
            "first_byte_ms": round(result.phases.first_byte_ms, 1),
        },
    }
