"""What tests of reliability share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from core import leases
from core.actors import Actor
from core.http import Phases
from reliability.engine.batch import Batch
from reliability.engine.probe import Failure, Result
from reliability.engine.strikes import advance
from reliability.selectors import configuration
from reliability.services import catalogue, results
from reliability.services.probes import LEASE

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.leases import Held
    from reliability.models import Check, Heartbeat, Service

OPERATOR = Actor.command("test")


@pytest.fixture
def operator() -> Actor:
    """Return an actor that services accept."""
    return OPERATOR


@pytest.fixture
def make_service(db: None) -> Callable[..., Service]:
    """Return a function that adds a service; names are numbered."""

    def make(name: str = "", **fields: Any) -> Service:
        from reliability.models import Service

        name = name or f"Service {Service.objects.count() + 1}"
        return catalogue.create_service(actor=OPERATOR, name=name, **fields)

    return make


@pytest.fixture
def make_check(make_service: Callable[..., Service]) -> Callable[..., Check]:
    """Return a function that adds a check, by default to a service of its own."""

    def make(
        url: str = "http://127.0.0.1:9/", *, service: Service | None = None, **fields: Any
    ) -> Check:
        service = service or make_service()
        return catalogue.create_check(actor=OPERATOR, service_id=service.pk, url=url, **fields)

    return make


@pytest.fixture
def held(db: None) -> Held:
    """Hold the lease of the probe loop."""
    held = leases.acquire(name=LEASE, seconds=60)
    assert held is not None
    return held


@pytest.fixture
def observe() -> Callable[..., Batch]:
    """Return a function that makes the batch of a prober that saw these results of one check."""

    def make(check: Check, *outcomes: bool, start: datetime | None = None, step: int = 20) -> Batch:
        (watch,) = configuration.watches([check.pk])
        target, tracker = watch
        batch = Batch()
        begin = start or datetime.now(UTC) - timedelta(seconds=step * len(outcomes))
        for number, ok in enumerate(outcomes):
            result = result_of(check, ok=ok, at=begin + timedelta(seconds=step * number))
            tracker, shifts = advance(tracker, target.rules, ok=ok, at=result.at)
            batch.note(target, tracker, shifts, result)
        return batch

    return make


@pytest.fixture
def see(held: Held, observe: Callable[..., Batch]) -> Callable[..., set[int]]:
    """Return a function that stores what a prober would have seen of one check."""

    def store(check: Check, *outcomes: bool, **options: Any) -> set[int]:
        return results.store(batch=observe(check, *outcomes, **options), held=held)

    return store


def result_of(check: Check, *, ok: bool, at: datetime, **fields: Any) -> Result:
    """Return a result as the engine makes it."""
    return Result(
        check_id=check.pk,
        at=at,
        ok=ok,
        **{
            "latency_ms": 12.5,
            "phases": Phases(total_ms=12.5),
            "status_code": 200 if ok else 503,
            "failure": None if ok else Failure.STATUS,
            "detail": "" if ok else "HTTP 503 Service Unavailable",
            "excerpt": "" if ok else "<h1>Sorry</h1> password=hunter22",
            **fields,
        },
    )


@pytest.fixture
def beaten(make_service: Callable[..., Service], operator: Actor) -> Callable[..., Heartbeat]:
    """Return a function that adds a heartbeat of ten minutes whose last success is so long ago."""
    from reliability.engine.heartbeats import Kind
    from reliability.models import CheckState, Heartbeat, StateSegment
    from reliability.services import heartbeats

    def make(ago: timedelta, **fields: Any) -> Heartbeat:
        check = catalogue.create_check(
            actor=operator,
            service_id=make_service().pk,
            kind="heartbeat",
            name="job",
            heartbeat={"period_seconds": 600, "grace_seconds": 60, **fields},
        )
        heartbeat = Heartbeat.objects.get(pk=check.pk)
        heartbeats.ping(token=heartbeat.token, kind=Kind.SUCCESS)
        heartbeat.refresh_from_db()
        heartbeat.last_success_at -= ago
        heartbeat.due_at -= ago
        heartbeat.save()
        state = CheckState.objects.get(pk=check.pk)
        for name in ("since", "last_at", "valid_until"):
            setattr(state, name, getattr(state, name) - ago)
        state.save()
        for segment in StateSegment.objects.filter(check_of=check.pk):
            segment.started_at -= ago
            segment.ended_at = segment.ended_at and segment.ended_at - ago
            segment.save()
        return heartbeat

    return make
