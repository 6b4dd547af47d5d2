"""Jobs as rows: the row is the truth, the Celery message only a doorbell.

A message can be lost by every stock broker; a row cannot. So a service writes the row, rings after
commit, and `sweep_jobs` rings again for what nobody began and recovers what a dead worker left.
"""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.dispatch import Signal
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from core import tracing
from core.broker import WaitingCount

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet

logger = logging.getLogger(__name__)

QUEUE: Final = "celery"
RING_LIMIT: Final = 1_000  # waiting messages above which the row alone must do
_SWEEP_BATCH: Final = 100
_LONGEST_WAIT: Final = timedelta(minutes=5)
_ATTEMPTS: Final = 3


ended: Final = Signal()
"""Sent by the model with `job_id` when the sweep has ended a job, since no worker will."""


class Job(models.Model):
    """Long work as a row; concrete models add what is to be done and what came of it."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    task_name: ClassVar[str]
    """The task that takes this row's key as `job_id`."""
    repeatable: ClassVar[bool] = True
    """Whether the work may begin again after its worker died."""
    silent_after_seconds: ClassVar[int] = 30
    """A running job without a heartbeat for so long has lost its worker."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    due_at = models.DateTimeField(default=timezone.now, editable=False)
    rung_at = models.DateTimeField(default=timezone.now, editable=False)
    rings = models.PositiveSmallIntegerField(default=0, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    lease = models.UUIDField(null=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, editable=False)
    progress = models.PositiveSmallIntegerField(default=0, editable=False)
    cancel_requested_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    error_code = models.CharField(max_length=50, blank=True, editable=False)
    error = models.TextField(blank=True, editable=False)

    class Meta:
        abstract = True
        ordering = ["-created_at"]
        indexes = [
            # The sweep looks for queued rows only; the table is mostly finished ones.
            models.Index(name="%(class)s_queued", fields=["due_at"], condition=Q(state="queued"))
        ]


_waiting = WaitingCount(settings.QUEUE_DIR / "messages", QUEUE)


def enqueue(task_name: str, **kwargs: str | int | bool | None) -> None:
    """Send the task after commit; a transaction that is rolled back sends nothing.

    A broker that refuses is logged: the row waits for the sweep.
    """
    transaction.on_commit(lambda: send(task_name, kwargs))


def send(task_name: str, kwargs: dict[str, Any]) -> None:
    """Ring now, with the ids of the present request; a long queue is left alone."""
    if not settings.REDIS_URL and _waiting() >= RING_LIMIT:
        logger.warning(
            "The queue holds %d messages; %s waits for the sweep.", RING_LIMIT, task_name
        )
        return
    try:
        current_app.send_task(task_name, kwargs=kwargs, headers=tracing.headers(), retry=False)
    except (BrokerError, OSError) as error:
        logger.warning("The broker refused %s (%s); the sweep tries again.", task_name, error)


def ring(job: Job) -> None:
    """Ring for a queued row once the transaction has committed."""
    enqueue(job.task_name, job_id=str(job.pk))


def begin(model: type[Job], job_id: str) -> uuid.UUID | None:
    """Take the job for this worker; return None if it is no longer queued."""
    lease = uuid.uuid4()
    taken = (
        _objects(model)
        .filter(pk=job_id, state=Job.State.QUEUED)
        .update(
            state=Job.State.RUNNING,
            lease=lease,
            heartbeat_at=timezone.now(),
            attempts=F("attempts") + 1,
            progress=0,
        )
    )
    return lease if taken else None


def heartbeat(model: type[Job], lease: uuid.UUID, *, progress: int) -> bool:
    """Show life; return False when the job was cancelled or given to another worker."""
    return bool(
        _held(model, lease)
        .filter(cancel_requested_at=None)
        .update(heartbeat_at=timezone.now(), progress=progress)
    )


def finish(
    model: type[Job],
    lease: uuid.UUID,
    state: Job.State,
    **fields: Any,  # noqa: ANN401  # the concrete model's own fields
) -> bool:
    """Leave RUNNING; a worker whose lease was taken away changes nothing and gets False."""
    return bool(
        _held(model, lease).update(state=state, finished_at=timezone.now(), lease=None, **fields)
    )


def sweep_jobs() -> dict[str, int]:
    """Ring for lost messages, recover silent jobs, end cancelled ones; return how many of each."""
    now = timezone.now()
    counts = {"rung": 0, "requeued": 0, "lost": 0, "cancelled": 0}
    for model in _job_models():
        rows = _objects(model)
        counts["cancelled"] += _end(
            rows.filter(state=Job.State.QUEUED, cancel_requested_at__isnull=False),
            state=Job.State.CANCELLED,
            finished_at=now,
        )
        silent = rows.filter(
            state=Job.State.RUNNING,
            heartbeat_at__lt=now - timedelta(seconds=model.silent_after_seconds),
        )
        if model.repeatable:
            counts["requeued"] += silent.filter(
                attempts__lt=_ATTEMPTS, cancel_requested_at=None
            ).update(state=Job.State.QUEUED, lease=None, rung_at=now - _LONGEST_WAIT)
        # What somebody had cancelled by then has ended as they asked.
        counts["cancelled"] += _end(
            silent.filter(cancel_requested_at__isnull=False),
            state=Job.State.CANCELLED,
            finished_at=now,
        )
        counts["lost"] += _end(
            silent,
            state=Job.State.FAILED,
            finished_at=now,
            error_code="lost",
            error="The worker died or was cut off.",
        )
        counts["rung"] += _ring_again(model, now)
    if any(counts.values()):
        logger.info("Jobs swept.", extra=counts)
    return counts


def _end(
    rows: QuerySet[Job],
    **fields: Any,  # noqa: ANN401  # the model's own fields
) -> int:
    """End jobs one by one, so that each is told of by whoever did it."""
    count = 0
    for job_id in list(rows.order_by().values_list("pk", flat=True)):
        if rows.filter(pk=job_id).update(lease=None, **fields):
            count += 1
            ended.send(rows.model, job_id=job_id)
    return count


def _ring_again(model: type[Job], now: datetime) -> int:
    rung = 0
    waiting = _objects(model).filter(state=Job.State.QUEUED, due_at__lte=now).order_by("due_at")
    for job_id, rings, rung_at in waiting.values_list("pk", "rings", "rung_at")[:_SWEEP_BATCH]:
        patience = min(timedelta(seconds=10 * 2 ** min(rings, 10)), _LONGEST_WAIT)
        if rung_at > now - patience:
            continue
        # The old time in WHERE: of two sweeps only one rings.
        if (
            _objects(model)
            .filter(pk=job_id, rung_at=rung_at, state=Job.State.QUEUED)
            .update(rung_at=now, rings=F("rings") + 1)
        ):
            send(model.task_name, {"job_id": str(job_id)})
            rung += 1
    return rung


def _job_models() -> Iterable[type[Job]]:
    return (model for model in apps.get_models() if issubclass(model, Job))


def _objects(model: type[Job]) -> models.QuerySet[Job]:
    return model._default_manager.all()  # noqa: SLF001  # Django's public name of the manager


def _held(model: type[Job], lease: uuid.UUID) -> models.QuerySet[Job]:
    return _objects(model).filter(lease=lease, state=Job.State.RUNNING)
