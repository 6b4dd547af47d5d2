"""How services and checks stood: availability and the bars of their history."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db.models import Q
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
from reliability.models import Check, StateSegment
from reliability.models.states import PAUSED
from reliability.selectors import maintenance, ranks
from reliability.selectors.epoch import Micros

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
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
    "pk",
    "service_id",
    Micros("created_at"),
    "interval_seconds",
    "timeout_seconds",
    Micros("state__last_at"),
    Micros("state__valid_until"),
)
_STOODS: Final = {standing.value: Stood[standing.name] for standing in Standing}
_MICROSECOND: Final = timedelta(microseconds=1)
_READ_AT_ONCE: Final = 2_000


class _Asked(NamedTuple):
    """A check, and until when its last result holds; moments are microseconds since 1970."""

    check_id: int
    service_id: int
    created_at: int
    interval_seconds: int
    timeout_seconds: float
    last_at: int | None
    valid_until: int | None

    def until(self, started_at: int, stood: Stood, end: int) -> int:
        """Return until when an open segment holds: its last result expires while nobody probes."""
        known_until = self.valid_until
        if known_until is None and self.last_at is not None:
            validity = Rules(self.interval_seconds, self.timeout_seconds).validity
            known_until = self.last_at + validity // _MICROSECOND
        if stood in {Stood.UNKNOWN, Stood.PAUSED} or known_until is None:
            return end
        return min(end, max(known_until, started_at))


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
    return ranks.ranked(up).filter(valid_until__gte=micros(end))


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
    nobody can have known then. Two queries for all checks and segments, and those of maintenance.
    """
    begin, stop = micros(start), micros(end)
    checks = {row[0]: _Asked(*row) for row in Check.objects.filter(wanted).values_list(*_COLUMNS)}
    if not checks:
        return []
    found: defaultdict[int, list[Stretch]] = defaultdict(list)
    for check_id, standing, started_at, ended_at, reason in _segments(wanted, start, end):
        asked = checks.get(check_id)
        if asked is None:
            continue
        stood = Stood.PAUSED if reason == PAUSED else _STOODS[standing]
        until = asked.until(started_at, stood, stop) if ended_at is None else ended_at
        found[check_id].append(Stretch(stood, started_at, until))
    left_out = {
        service_id: [(micros(starts_at), micros(ends_at)) for starts_at, ends_at in spans]
        for service_id, spans in maintenance.intervals(
            {asked.service_id for asked in checks.values()}, start=start, end=end
        ).items()
    }
    whole = []
    for check_id, asked in checks.items():
        stretches = found[check_id]
        since = min(asked.created_at, stretches[0].start) if stretches else asked.created_at
        one = line(stretches, since=since, start=begin, end=stop)
        if from_first_answer:
            one = without_beginning(one, was_known=asked.last_at is not None)
        spans = left_out.get(asked.service_id, ())
        whole.append(((asked.service_id, check_id), with_maintenance(one, spans)))
    return whole


def _segments(
    wanted: Q, start: datetime, end: datetime
) -> Iterator[tuple[int, str, int, int | None, str]]:
    """Return the segments of checks that touch a window, in the order of their beginnings."""
    found = StateSegment.objects.filter(
        Q(ended_at=None) | Q(ended_at__gt=start),
        started_at__lt=end,
        check_of__in=Check.objects.filter(wanted).order_by().values("pk"),
    )
    rows = found.order_by("check_of_id", "started_at", "pk")
    return rows.values_list(
        "check_of_id", "standing", Micros("started_at"), Micros("ended_at"), "reason"
    ).iterator(chunk_size=_READ_AT_ONCE)
