"""What the rows of other apps say about the platform itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Max
from django.utils import timezone

from core.models import Process

if TYPE_CHECKING:
    from datetime import timedelta


def silence_of(kind: Process.Kind) -> timedelta | None:
    """Return for how long no process of a kind has reported; None if there is none at all."""
    latest = Process.objects.filter(kind=kind).aggregate(latest=Max("beat_at"))["latest"]
    return None if latest is None else timezone.now() - latest
