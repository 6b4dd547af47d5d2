"""What reliability does when a job of its own was ended by the sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.dispatch import receiver

from core.jobs import ended
from reliability.models import UptimeTest
from reliability.services.uptime_tests import tell_end

if TYPE_CHECKING:
    import uuid


@receiver(ended, sender=UptimeTest)
def tell(job_id: uuid.UUID, **_: object) -> None:
    """Tell whoever waits for it."""
    tell_end(job_id)
