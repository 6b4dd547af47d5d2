"""Carry request and trace ids into tasks, and keep their database connections fresh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun

from core import tracing

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


@task_postrun.connect
def _leave(task_id: str, **_: object) -> None:
    if (manager := _bound.pop(task_id, None)) is not None:
        manager.__exit__(None, None, None)


@setup_logging.connect
def _leave_logging(**_: object) -> None:
    """Keep Celery from setting up logging: Django's configuration serves every process."""
