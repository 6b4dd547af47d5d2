"""Load the code of every process before the fork: once in time, once in memory."""

from importlib import import_module
from typing import Final

from django.urls import get_resolver

from opsplatform.celery import app

_MODULES: Final = (
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.concurrency.thread",
    "celery.worker.consumer",
    "celery.worker.strategy",
    "core.broker",
    "django_celery_beat.models",
    "opsplatform.asgi",
    "opsplatform.beat",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "opsplatform.sockets",
)


def preload() -> None:
    """Import what the processes would import on their own."""
    for name in _MODULES:
        import_module(name)
    _ = get_resolver().url_patterns
    app.loader.import_default_modules()
    app.finalize()
