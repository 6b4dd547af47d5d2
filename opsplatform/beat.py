"""Beat under a lease: of several beats one sends, the others stand by."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from django.db import DatabaseError, close_old_connections
from django_celery_beat.schedulers import DatabaseScheduler

from core import leases

if TYPE_CHECKING:
    from core.leases import Held

logger = logging.getLogger(__name__)

_LEASE: Final = "beat"
_LEASE_SECONDS: Final = 60.0
_STAND_BY_SECONDS: Final = 5.0


class LeasedScheduler(DatabaseScheduler):  # type: ignore[misc]  # the package has no types
    """Sends only while it holds the lease; `ticked_at` shows that the loop is alive."""

    ticked_at: float = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Celery's signature
        self._held: Held | None = None
        self._renew_at = 0.0
        self._holder = leases.new_holder()
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:  # noqa: ANN401  # Celery's signature
        """Send what is due and return the seconds to sleep; a silent database is waited for."""
        type(self).ticked_at = time.monotonic()
        try:
            if not self._leads():
                return _STAND_BY_SECONDS
            wait: float = super().tick(*args, **kwargs)
            return min(wait, _STAND_BY_SECONDS)
        except DatabaseError as error:
            logger.warning(
                "The schedule cannot be read; beat tries again (%s).", type(error).__name__
            )
            close_old_connections()
            return _STAND_BY_SECONDS

    def close(self) -> None:
        """Save the schedule and give the lease back."""
        super().close()
        if self._held is not None:
            leases.release(self._held)
            self._held = None

    def _leads(self) -> bool:
        now = time.monotonic()
        if self._held is not None and now < self._renew_at:
            return True
        if self._held is None or not leases.renew(self._held, seconds=_LEASE_SECONDS):
            self._held = leases.acquire(name=_LEASE, seconds=_LEASE_SECONDS, holder=self._holder)
        self._renew_at = now + _LEASE_SECONDS / 3
        return self._held is not None
