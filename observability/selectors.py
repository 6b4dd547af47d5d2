"""What the rows of other apps say about the platform itself."""

from datetime import timedelta
from typing import Final

from django.db.models import Max
from django.utils import timezone

from core.models import Process

_LATELY: Final = timedelta(seconds=30)


def failing_loops() -> list[str]:
    """Return the loops that fail in the daemons that reported lately."""
    lately = timezone.now() - _LATELY
    details = Process.objects.filter(kind=Process.Kind.DAEMON, beat_at__gte=lately)
    return sorted({name for row in details for name in row.detail.get("failing", {})})


def silence_of(kind: Process.Kind) -> timedelta | None:
    """Return for how long no process of a kind has reported; None if there is none at all."""
    latest = Process.objects.filter(kind=kind).aggregate(latest=Max("beat_at"))["latest"]
    return None if latest is None else timezone.now() - latest
