"""How services and checks stood: availability and the bars of their history."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import FilteredRelation, Q
from django.utils import timezone

from reliability.engine.history import (
    History,
    Stood,
    Stretch,
    clip,
    history,
    line,
    micros,
    with_maintenance,
    without_beginning,
    worst_of,
)
from reliability.engine.strikes import Rules, Standing
from reliability.models import Check
from reliability.models.checks import PAUSED
from reliability.selectors import maintenance, ranks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from django.db.models import QuerySet

WINDOWS: Final = {
    "24h": (timedelta(hours=24), 96),
    "7d": (timedelta(days=7), 84),
    "30d": (timedelta(days=30), 90),
    "90d": (timedelta(days=90), 90),
}
"""How long each window is, and in how many buckets it is shown."""

_LONGEST: Final = max(window for window, _ in WINDOWS.values())

_COLUMNS: Final = (
    "service_id",
    "pk",
    "created_at",
    "interval_seconds",
    "timeout_seconds",
    "state__last_at",
    "state__valid_until",
    "within__standing",
    "within__started_at",
    "within__ended_at",
    "within__reason",
)


def of_services(
    service_ids: Collection[int],
    *,
    window: timedelta,
    buckets: int,
    now: datetime | None = None,
) -> dict[int, History]:
    """Return the history of services: at each moment that of the worst check.

    Checks that were up all along are one line for their service, however many they are.
    """
    end = now or timezone.now()
    start, stop = micros(end - window), micros(end)
    by_service: defaultdict[int, list[tuple[Stretch, ...]]] = defaultdict(list)
    steady = _steady(service_ids, end - window, end)
    for (service_id, _), whole in lines(
        Q(service__in=service_ids) & ~Q(pk__in=steady.values("pk")), end - window, end
    ):
        by_service[service_id].append(whole)
    always_up = set(steady.values_list("service_id", flat=True))
    left_out = maintenance.intervals(always_up, start=end - window, end=end) if always_up else {}
    for service_id in always_up:
        spans = [(micros(begins), micros(ends)) for begins, ends in left_out.get(service_id, ())]
        whole = with_maintenance((Stretch(Stood.UP, start, stop),), spans)
        by_service[service_id].append(whole)
    absent = [(Stretch(Stood.ABSENT, start, stop),)]
    return {
        key: history(worst_of(by_service.get(key, absent)), start=start, end=stop, buckets=buckets)
        for key in service_ids
    }


def _steady(service_ids: Collection[int], start: datetime, end: datetime) -> QuerySet[Any]:
    """Return the checks whose one segment says up since before the window, and holds until now."""
    up = Check.objects.filter(
        service__in=service_ids,
        segments__ended_at=None,
        segments__standing=Standing.UP.value,
        segments__started_at__lte=start,
    )
    return ranks.ranked(up).filter(valid_until__gte=end.timestamp())


def windows(*, service_id: int = 0, check_id: int = 0) -> dict[str, History]:
    """Return the history of a service, or else of a check, over every window."""
    end = timezone.now()
    wanted = Q(service=service_id) if service_id else Q(pk=check_id)
    start, stop = micros(end - _LONGEST), micros(end)
    whole = worst_of([whole for _, whole in lines(wanted, end - _LONGEST, end)])
    whole = whole or (Stretch(Stood.ABSENT, start, stop),)
    found = {}
    for name, (window, buckets) in WINDOWS.items():
        begin = micros(end - window)
        part = clip(whole, begin)
        found[name] = history(part, start=begin, end=stop, buckets=buckets)
    return found


def of_checks(
    check_ids: Collection[int],
    *,
    window: timedelta,
    buckets: int,
    now: datetime | None = None,
) -> dict[int, History]:
    """Return the history of checks."""
    end = now or timezone.now()
    start, stop = micros(end - window), micros(end)
    return {
        check_id: history(whole, start=start, end=stop, buckets=buckets)
        for (_, check_id), whole in lines(Q(pk__in=check_ids), end - window, end)
    }


def lines(
    wanted: Q, start: datetime, end: datetime, *, from_first_answer: bool = False
) -> Iterable[tuple[tuple[int, int], tuple[Stretch, ...]]]:
    """Return the line of each check within the window, with the keys of service and check.

    Maintenance is left out of it. With `from_first_answer`, so is the time before the first one:
    nobody can have known then. Two queries, and a third where there is maintenance.
    """
    within = Q(segments__started_at__lt=end) & (
        Q(segments__ended_at=None) | Q(segments__ended_at__gt=start)
    )
    rows = (
        Check.objects.filter(wanted)
        .annotate(within=FilteredRelation("segments", condition=within))
        .order_by("pk", "within__started_at", "within__id")
        .values_list(*_COLUMNS)
    )
    since: dict[tuple[int, int], int] = {}
    answered: set[tuple[int, int]] = set()
    found: defaultdict[tuple[int, int], list[Stretch]] = defaultdict(list)
    for service_id, check_id, created_at, interval, timeout, last_at, valid_until, *segment in rows:
        key = (service_id, check_id)
        if key not in since:
            since[key] = micros(created_at)
            if last_at is not None:
                answered.add(key)
        standing, started_at, ended_at, reason = segment
        if started_at is None:
            continue
        begun = micros(started_at)
        since[key] = min(since[key], begun)
        stood = Stood.PAUSED if reason == PAUSED else Stood[standing.upper()]
        if ended_at is None:
            known_until = valid_until or (last_at and last_at + Rules(interval, timeout).validity)
            ended_at = _until(started_at, known_until, stood, end)
        found[key].append(Stretch(stood, begun, micros(ended_at)))
    if not since:
        return []
    begin, stop = micros(start), micros(end)
    left_out = {
        service_id: [(micros(starts_at), micros(ends_at)) for starts_at, ends_at in spans]
        for service_id, spans in maintenance.intervals(
            {service_id for service_id, _ in since}, start=start, end=end
        ).items()
    }
    whole = []
    for key, first in since.items():
        one = line(found[key], since=first, start=begin, end=stop)
        if from_first_answer:
            one = without_beginning(one, was_known=key in answered)
        whole.append((key, with_maintenance(one, left_out.get(key[0], ()))))
    return whole


def _until(
    started_at: datetime, known_until: datetime | None, stood: Stood, end: datetime
) -> datetime:
    """Return until when an open segment holds: its last result expires while nobody probes."""
    if stood in {Stood.UNKNOWN, Stood.PAUSED} or known_until is None:
        return end
    return min(end, max(known_until, started_at))
