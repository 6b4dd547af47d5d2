"""Maintenance as moments: which times hold, which come, and which are left out of figures."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.utils import timezone

from reliability.engine.recurrence import merged
from reliability.models import MaintenanceOccurrence, MaintenanceWindow

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from django.db.models import QuerySet

SHOWN: Final = 200
"""How many times a list shows at most."""

_EVERY: Final = 0
"""Stands for every service: a window that names none."""


def intervals(
    service_ids: Collection[int], *, start: datetime, end: datetime
) -> dict[int, list[tuple[datetime, datetime]]]:
    """Return the maintenance of services within a stretch of time: merged, in order, clipped.

    Services without any are left out. Two queries, whatever the number of services.
    """
    found = _spans(start, end)
    if not found:
        return {}
    everywhere = found.pop(_EVERY, [])
    told = {}
    for key in service_ids:
        if spans := merged([*everywhere, *found.get(key, [])]):
            told[key] = spans
    return told


def _spans(start: datetime, end: datetime) -> dict[int, list[tuple[datetime, datetime]]]:
    rows = list(
        MaintenanceOccurrence.objects.filter(starts_at__lt=end, ends_at__gt=start)
        .order_by()
        .values_list("window_id", "starts_at", "ends_at")
    )
    if not rows:
        return {}
    of_windows = services_of({window_id for window_id, _, _ in rows})
    found: defaultdict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
    for window_id, starts_at, ends_at in rows:
        for service_id in of_windows.get(window_id, (_EVERY,)):
            found[service_id].append((max(starts_at, start), min(ends_at, end)))
    return dict(found)


def services_of(window_ids: Collection[int]) -> dict[int, tuple[int, ...]]:
    """Return the services of windows; one that is meant for every service is left out."""
    named: defaultdict[int, list[int]] = defaultdict(list)
    links = MaintenanceWindow.services.through.objects.filter(
        maintenancewindow_id__in=window_ids
    ).values_list("maintenancewindow_id", "service_id")
    for window_id, service_id in links:
        named[window_id].append(service_id)
    return {key: tuple(found) for key, found in named.items()}


def holding(service_id: int, *, at: datetime | None = None) -> MaintenanceWindow | None:
    """Return the window that holds for a service at a moment; of several that which ends last."""
    when = at or timezone.now()
    found = (
        _of_service(service_id)
        .filter(starts_at__lte=when, ends_at__gt=when)
        .select_related("window")
        .order_by("-ends_at", "-pk")
        .first()
    )
    return found.window if found else None


def holds_for(service_ids: Collection[int], *, at: datetime | None = None) -> set[int]:
    """Return which of these services are in maintenance at a moment."""
    when = at or timezone.now()
    return set(intervals(service_ids, start=when, end=when + timedelta(microseconds=1)))


def upcoming(
    service_ids: Collection[int] | None = None, *, days: int = 14, most: int = SHOWN
) -> list[MaintenanceOccurrence]:
    """Return the times that hold now or begin within days, the next ones first.

    Of some services, or of all; each with its window and the window's services.
    """
    now = timezone.now()
    found = MaintenanceOccurrence.objects.filter(
        ends_at__gt=now, starts_at__lt=now + timedelta(days=days)
    )
    if service_ids is not None:
        named = MaintenanceWindow.services.through.objects.filter(service_id__in=service_ids)
        found = found.filter(
            Q(window_id__in=named.values("maintenancewindow_id")) | Q(window__services=None)
        )
    found = found.select_related("window").prefetch_related("window__services")
    return list(found.order_by("starts_at", "pk")[:most])


def _of_service(service_id: int) -> QuerySet[MaintenanceOccurrence]:
    named = MaintenanceWindow.services.through.objects.filter(service_id=service_id)
    return MaintenanceOccurrence.objects.filter(
        Q(window_id__in=named.values("maintenancewindow_id")) | Q(window__services=None)
    )
