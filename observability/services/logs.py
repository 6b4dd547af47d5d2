"""Keep the log files in bounds."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from audit.services.records import record
from core.logarchive import Tidied, tidy

if TYPE_CHECKING:
    from core.actors import Actor

logger = logging.getLogger(__name__)


def tidy_logs(*, actor: Actor) -> Tidied:
    """Compress rotated log files of this machine, remove those past LOG_RETENTION_DAYS.

    What is removed is gone from the evidence, so it is audited.
    """
    if settings.LOGS_FILE == "-":
        return Tidied()
    tidied = tidy(Path(settings.LOGS_FILE), keep_days=settings.LOG_RETENTION_DAYS, now=time.time())
    for problem in tidied.problems:
        logger.warning("A log segment cannot be kept in order: %s", problem)
    if tidied.removed:
        with transaction.atomic():
            record(
                actor=actor,
                action="log_segments.removed",
                removed=tidied.removed,
                older_than_days=settings.LOG_RETENTION_DAYS,
                host=settings.HOSTNAME,
            )
    return tidied
