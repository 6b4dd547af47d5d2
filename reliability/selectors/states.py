"""Services and checks as their lists show them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Prefetch

from reliability.engine.strikes import State
from reliability.models import Check, Service
from reliability.models.checks import RETRY_SECONDS

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

WORST_FIRST: Final = (
    State.DOWN,
    State.RECOVERING,
    State.SUSPECT,
    State.DEGRADED,
    State.UNKNOWN,
    State.UP,
)


def checks() -> QuerySet[Check]:
    """Return checks with what their lists show; headers stay sealed."""
    return Check.objects.select_related("service", "state", "heartbeat").defer("headers")


def services() -> QuerySet[Service]:
    """Return services with their checks and states, in a constant number of queries."""
    found = Check.objects.select_related("state").defer("headers").order_by("pk")
    return Service.objects.prefetch_related(Prefetch("checks", queryset=found))


def worst_state(service: Service) -> State:
    """Return the state of a service: that of its worst check that is on."""
    said = {check.says.state for check in service.checks.all() if check.enabled}
    return next((state for state in WORST_FIRST if state in said), State.UNKNOWN)


def next_probe(check: Check) -> datetime | None:
    """Return when a check is to be asked next; None if it is off or was never asked."""
    state = check.state
    if not check.enabled or state.last_at is None:
        return None
    retry = check.retry_interval_seconds or min(check.interval_seconds, RETRY_SECONDS)
    waits = state.state in {State.SUSPECT, State.RECOVERING}
    return state.last_at + timedelta(seconds=retry if waits else check.interval_seconds)
