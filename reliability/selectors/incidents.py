"""Incidents, and who may see what of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reliability.models import Incident

if TYPE_CHECKING:
    from django.db.models import QuerySet

# Whoever may aim a check at an address must not read what answers there; operators may.
SEE_ANSWERS: Final = "reliability.change_incident"


def open_incidents() -> QuerySet[Incident]:
    """Return what is wrong just now."""
    return Incident.objects.exclude(state=Incident.State.RESOLVED)
