"""Run checks now because somebody asked: a look that moves no strikes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction

from audit.services import record
from core import jobs
from core.drill import refuse_in_drill
from core.errors import DomainError, InvalidInputError
from core.loops import in_thread
from reliability.engine.prober import probe_once
from reliability.models import Check, UptimeTest
from reliability.selectors import configuration
from reliability.services import answers
from reliability.services.probes import concurrency, open_session
from reliability.services.results import store_samples

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    from core.actors import Actor
    from reliability.engine.probe import Result, Target

_HEARTBEAT_SECONDS: Final = 10


@transaction.atomic
def request(*, actor: Actor, check_ids: Collection[int] | None = None) -> UptimeTest:
    """Ask for a run of these checks, or of all that are on; it begins after the commit."""
    refuse_in_drill()
    wanted = Check.objects.order_by("pk").values_list("pk", flat=True)
    ids = list(
        wanted.filter(enabled=True) if check_ids is None else wanted.filter(pk__in=check_ids)
    )
    if check_ids is not None and (unknown := set(check_ids) - set(ids)):
        message = "Some checks do not exist."
        raise InvalidInputError(message, errors={"checks": [f"No check {key}." for key in unknown]})
    if not ids:
        message = "There is no check to run."
        raise InvalidInputError(message)
    test = UptimeTest.objects.create(check_ids=ids, requested_by=actor.name[:200])
    record(actor=actor, action="uptimetest.requested", target=test, checks=len(ids))
    jobs.ring(test)
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
        return jobs.finish(UptimeTest, lease, state, error_code=error.code, error=error.message)
    except Exception:
        jobs.finish(
            UptimeTest,
            lease,
            UptimeTest.State.FAILED,
            error_code="internal",
            error="An unexpected error; see the log of the worker.",
        )
        raise
    if found is None:
        return jobs.finish(UptimeTest, lease, UptimeTest.State.CANCELLED)
    with transaction.atomic():
        told = _stored(found)
        return jobs.finish(UptimeTest, lease, UptimeTest.State.DONE, results=told, progress=100)


def run_all(*, actor: Actor) -> list[dict[str, Any]]:
    """Run every check that is on in this process and return what was found."""
    found = asyncio.run(_probe(configuration.targets()))
    with transaction.atomic():
        record(actor=actor, action="uptimetest.performed", checks=len(found))
        return _stored(found)


async def _run(targets: list[Target], lease: uuid.UUID) -> list[Result] | None:
    """Probe and show life; None when the test was cancelled or given to another worker."""
    probing = asyncio.create_task(_probe(targets))
    while True:
        await asyncio.wait({probing}, timeout=_HEARTBEAT_SECONDS)
        if probing.done():
            return probing.result()
        if not await in_thread(jobs.heartbeat, UptimeTest, lease, progress=0):
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
            return None


async def _probe(targets: list[Target]) -> list[Result]:
    async with open_session() as client:
        return await probe_once(client, targets, limit=concurrency())


def _stored(found: list[Result]) -> list[dict[str, Any]]:
    """Store results as manual and return them with the names of their checks.

    A check that was deleted meanwhile is left out.
    """
    checks = (
        Check.objects.select_for_update(no_key=True, of=("self",))
        .select_related("service")
        .defer("headers")
        .order_by("pk")
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
