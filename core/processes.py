"""Processes report that they live: a row each, renewed every ten seconds."""

from __future__ import annotations

import logging
import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections
from django.utils import timezone

from core.models import Process

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

BEAT_SECONDS: Final = 10.0
_FORGOTTEN_AFTER: Final = timedelta(hours=1)


class Reporter:
    """A context in which a thread writes this process's row; the row goes when the context ends.

    `alive` tells whether the work itself goes on: a process that hangs must not look well. `detail`
    tells what else is worth knowing about it.
    """

    def __init__(
        self,
        kind: Process.Kind,
        *,
        alive: Callable[[], bool] = lambda: True,
        detail: Callable[[], dict[str, object]] = dict,
    ) -> None:
        self._kind = kind
        self._alive = alive
        self._detail = detail
        self._done = threading.Event()
        self._started_at = timezone.now()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def __enter__(self) -> Self:
        """Start to report."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the row away: a process that ended in order is not missed."""
        self._done.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            try:
                close_old_connections()
                if self._alive():
                    self._report()
            except DatabaseError as error:
                logger.warning("The process cannot report itself (%s).", type(error).__name__)
            if self._done.wait(BEAT_SECONDS):
                break
        try:
            Process.objects.filter(
                kind=self._kind, host=settings.HOSTNAME, pid=os.getpid()
            ).delete()
        except DatabaseError:
            logger.info("The process's row stays; it ages by itself.")
        connections.close_all()

    def _report(self) -> None:
        now = timezone.now()
        Process.objects.update_or_create(
            kind=self._kind,
            host=settings.HOSTNAME,
            pid=os.getpid(),
            defaults={
                "version": settings.OPS_VERSION,
                "started_at": self._started_at,
                "beat_at": now,
                "detail": self._detail(),
            },
        )
        Process.objects.filter(beat_at__lt=now - _FORGOTTEN_AFTER).delete()
