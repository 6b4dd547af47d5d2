"""The checks behind objectives, and the lines of time that they make together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Max, Q

from reliability.engine.history import Stood, Stretch, best_of, micros, worst_of
from reliability.engine.slo import Timeline
from reliability.models import SLO, Check
from reliability.selectors import history, results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

HEARTBEAT: Final = Check.Kind.HEARTBEAT.value

_MINUTE: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class Watched:
    """The checks of one objective, and the line of each."""

    timeline: Timeline
    probed: tuple[int, ...]
    """The checks that somebody asks; a heartbeat is asked by nobody."""
    jobs: tuple[tuple[Stretch, ...], ...]
    """The lines of its heartbeats."""
    interval_seconds: float | None

    def bad_probes(self, start: datetime, end: datetime) -> Sequence[int]:
        """Return the number of bad probes of each minute that has some.

        A heartbeat that is missing is no lost packet: each minute of it counts as one.
        """
        found = list(results.bad_minutes(self.probed, start=start, end=end).values())
        found += [1] * len(_minutes_down(self.jobs, micros(start), micros(end)))
        return found


def of_objectives(
    slos: Sequence[SLO],
    start: datetime,
    end: datetime,
    *,
    wanted: Callable[[Sequence[tuple[int, str]]], Sequence[tuple[int, str]]],
) -> dict[int, Watched]:
    """Return what objectives watch, in a constant number of queries.

    An objective that never named checks watches those of its service that `wanted` picks out of
    all, by key and kind. One whose named checks were all deleted watches none.
    """
    chosen: defaultdict[int, list[int]] = defaultdict(list)
    links = SLO.checks.through.objects.filter(slo__in=slos).values_list("slo_id", "check_id")
    for slo_id, check_id in links:
        chosen[slo_id].append(check_id)
    services = {slo.service_id for slo in slos}
    kinds: dict[int, str] = {}
    intervals: dict[int, int] = {}
    of_service: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    rows = Check.objects.filter(service__in=services).order_by("pk")
    for key, service_id, kind, interval in rows.values_list(
        "pk", "service_id", "kind", "interval_seconds"
    ):
        kinds[key], intervals[key] = kind, interval
        of_service[service_id].append((key, kind))
    read = history.lines(Q(service__in=services), start, end, from_first_answer=True)
    whole = {check_id: line for (_, check_id), line in read}
    begin, stop = micros(start), micros(end)
    found = {}
    for slo in slos:
        if slo.names_checks:
            keys = [key for key in chosen[slo.pk] if key in whole]
        else:
            keys = [key for key, _ in wanted(of_service[slo.service_id]) if key in whole]
        lay = best_of if slo.combine == SLO.Combine.ALL else worst_of
        line = lay([whole[key] for key in keys]) or (Stretch(Stood.ABSENT, begin, stop),)
        probed = tuple(key for key in keys if kinds[key] != HEARTBEAT)
        found[slo.pk] = Watched(
            timeline=Timeline(line),
            probed=probed,
            jobs=tuple(whole[key] for key in keys if kinds[key] == HEARTBEAT),
            interval_seconds=max((intervals[key] for key in probed), default=None),
        )
    return found


def check_ids(slo: SLO) -> list[int]:
    """Return the checks of an objective that can be asked now."""
    rows = slo.checks if slo.names_checks else Check.objects.filter(service=slo.service_id)
    return list(rows.exclude(kind=HEARTBEAT).order_by("pk").values_list("pk", flat=True))


def longest_interval(*, service_id: int = 0, slo_id: int = 0) -> int | None:
    """Return the longest interval of the checks of an objective, or else of a service."""
    if slo_id and SLO.objects.filter(pk=slo_id, names_checks=True).exists():
        rows = Check.objects.filter(slos=slo_id)
    elif slo_id:
        rows = Check.objects.filter(Q(service=service_id) | Q(service__slos=slo_id))
    else:
        rows = Check.objects.filter(service=service_id)
    asked_rows = rows.exclude(kind=HEARTBEAT)
    longest: int | None = asked_rows.aggregate(longest=Max("interval_seconds"))["longest"]
    return longest


def asked(checks: Sequence[tuple[int, str]]) -> Sequence[tuple[int, str]]:
    """Pick the checks that somebody asks; of a service that has only heartbeats, those."""
    return [check for check in checks if check[1] != HEARTBEAT] or checks


def only_asked(checks: Sequence[tuple[int, str]]) -> Sequence[tuple[int, str]]:
    """Pick the checks that somebody asks."""
    return [check for check in checks if check[1] != HEARTBEAT]


def jobs(checks: Sequence[tuple[int, str]]) -> Sequence[tuple[int, str]]:
    """Pick the heartbeats."""
    return [check for check in checks if check[1] == HEARTBEAT]


def _minutes_down(lines: Iterable[Sequence[Stretch]], start: int, end: int) -> set[int]:
    found: set[int] = set()
    for line in lines:
        for stretch in line:
            begin, stop = max(stretch.start, start), min(stretch.end, end)
            if stretch.stood is Stood.DOWN and begin < stop:
                found.update(range(begin // _MINUTE, -(-stop // _MINUTE)))
    return found
