"""Incidents, and who may see what of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from reliability.engine.rules import RULES, SLO_FAST_BURN
from reliability.models import Alert, Incident
from reliability.models.incidents import IS_OVER

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

# Whoever may aim a check at an address must not read what answers there; operators may.
SEE_ANSWERS: Final = "reliability.change_incident"

_LEAST_AROUND: Final = timedelta(minutes=30)
_MOST_AROUND: Final = timedelta(days=2)


def open_incidents() -> QuerySet[Incident]:
    """Return what is wrong just now."""
    return Incident.objects.exclude(IS_OVER)


def surroundings(incident: Incident) -> tuple[datetime, datetime]:
    """Return a window around an incident that shows how it came and went, up to now."""
    now = timezone.now()
    end = incident.resolved_at or now
    margin = min(max((end - incident.started_at) / 2, _LEAST_AROUND), _MOST_AROUND)
    return incident.started_at - margin, min(end + margin, now)


def of_check(check_id: int) -> QuerySet[Incident]:
    """Return the incidents that alerts of a check belong to, whichever check opened them."""
    told = Alert.objects.filter(check_of=check_id, incident__isnull=False)
    return Incident.objects.filter(pk__in=told.values("incident"))


def budget_alerts() -> QuerySet[Alert]:
    """Return what holds just now of error budgets."""
    budgets = [rule.name for rule in RULES.values() if rule.group == SLO_FAST_BURN.group]
    return Alert.objects.exclude(state=Alert.State.RESOLVED).filter(rule__in=budgets)
