"""Carry request and trace ids into tasks, and keep their database connections fresh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import states
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun

from core import tracing
from core.signals import job_finished, job_started

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_bound: dict[str, AbstractContextManager[tracing.Context]] = {}


@before_task_publish.connect
def _carry(headers: dict[str, Any] | None = None, **_: object) -> None:
    if headers is not None:
        for name, value in tracing.headers().items():
            headers.setdefault(name, value)


@task_prerun.connect
def _enter(task_id: str, task: Any, **_: object) -> None:  # noqa: ANN401  # Celery has no types
    carried = {str(name).lower(): value for name, value in vars(task.request).items()}
    manager = tracing.bind(tracing.from_headers(carried))
    manager.__enter__()
    _bound[task_id] = manager
    if name := _periodic_name(task):
        job_started.send_robust(sender=None, name=name)


@task_postrun.connect
def _leave(task_id: str, task: Any, state: str = "", retval: object = None, **_: object) -> None:  # noqa: ANN401  # Celery has no types
    # One that is to be tried again has not ended.
    if (name := _periodic_name(task)) and state != states.RETRY:
        error = type(retval).__name__ if isinstance(retval, BaseException) else ""
        job_finished.send_robust(sender=None, name=name, ok=state == states.SUCCESS, error=error)
    if (manager := _bound.pop(task_id, None)) is not None:
        manager.__exit__(None, None, None)


def _periodic_name(task: Any) -> str:  # noqa: ANN401  # Celery has no types
    """Return under which name beat's schedule holds the job; nothing for any other task."""
    return str(vars(task.request).get("periodic_task_name") or "")


@setup_logging.connect
def _leave_logging(**_: object) -> None:
    """Keep Celery from setting up logging: Django's configuration serves every process."""
