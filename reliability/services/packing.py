"""Pack results: rows into hours when their hour is over, hours into days after two days.

Each transaction takes the rows out and puts the chunk in, or does neither. Late results of an hour
that is packed already are merged into it; one that is stored a second time is dropped.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from django.db import connection, transaction
from django.db.models import Exists, Min, OuterRef
from django.utils import timezone

from core import leases
from reliability.engine.packing import (
    DAY_SECONDS,
    HOUR_SECONDS,
    PHASES_SECONDS,
    Found,
    Means,
    columns,
    pack,
)
from reliability.models import Check, Sample, SampleChunk
from reliability.selectors import results, sums
from reliability.services import rollups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.db.models import QuerySet

    from core.leases import Held
    from reliability.selectors.sums import Phases

logger = logging.getLogger(__name__)

TAIL_HOURS: Final = 1
"""So many whole hours stay as rows, beside the one that is under way."""

DAYS_AS_HOURS: Final = 2
"""So many whole days stay as hours, which tell latencies finer."""

LONGEST_STOP: Final = timedelta(days=40)

_AT_ONCE: Final = 50
_LOOK_AGAIN_SECONDS: Final = 0.5
_HOURS_AT_ONCE: Final = timedelta(hours=6)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_NO_PHASES: Final = (0.0, 0.0, 0.0, 0.0)

# Whoever takes rows out by this statement has them alone, whatever else is stored meanwhile.
_TAKE: Final = """\
DELETE FROM reliability_sample WHERE check_id IN ({keys}) AND at >= %s AND at < %s
RETURNING check_id, at, ok, latency_ms, manual, status_code, failure, detail,
  dns_ms, connect_ms, tls_ms, first_byte_ms"""


@dataclass(slots=True)
class Packed:
    """What a run did."""

    results: int = 0
    hours: int = 0
    days: int = 0

    def add(self, other: Packed) -> None:
        """Count what another run did too."""
        self.results += other.results
        self.hours += other.hours
        self.days += other.days


_Row = tuple[Found, "Phases"]
_Targets = defaultdict[tuple[int, datetime, int], list[_Row]]
"""What goes where: by check, begin and length of the chunk."""


def run(*, seconds: float = 600, patience: float = 60, now: datetime | None = None) -> Packed:
    """Pack what is old enough; after `seconds` leave the rest to the next run.

    Whoever adds results up is waited for with some patience. Checks that cannot be packed are
    told in the log and stay as they are.
    """
    done = Packed()
    give_up = time.monotonic() + patience
    while (held := leases.acquire(name=rollups.LEASE, seconds=rollups.LEASE_SECONDS)) is None:
        if time.monotonic() > give_up:
            return done
        time.sleep(_LOOK_AGAIN_SECONDS)
    until = time.monotonic() + seconds
    now = (now or timezone.now()).astimezone(UTC)
    try:
        # What leaves its rows must have been added up before.
        rollups.add_up(held=held)
        _pack_hours(held, hour_of(now) - TAIL_HOURS * _HOUR, until, done)
        _pack_days(held, day_of(now) - DAYS_AS_HOURS * _DAY, until, done)
    finally:
        leases.release(held)
    return done


def hour_of(at: datetime) -> datetime:
    """Return the begin of the hour in which a moment, in UTC, lies."""
    return at.replace(minute=0, second=0, microsecond=0)


def day_of(at: datetime) -> datetime:
    """Return the begin of the day in which a moment, in UTC, lies."""
    return hour_of(at).replace(hour=0)


def _pack_hours(held: Held, before: datetime, until: float, done: Packed) -> None:
    """Pack rows older than `before`, six hours of all checks after the other.

    What cannot be packed stays behind, and does not hold up what is newer.
    """
    rows = Sample.objects.filter(at__lt=before)
    while (oldest := rows.aggregate(oldest=Min("at"))["oldest"]) is not None:
        if time.monotonic() > until:
            return
        since, upto = oldest, min(hour_of(oldest) + _HOURS_AT_ONCE, before)
        old = Sample.objects.filter(check_of=OuterRef("pk"), at__gte=since, at__lt=upto)
        checks = Check.objects.filter(Exists(old))
        _by_batches(checks, held, until, partial(_take, since, upto), done)
        rows = Sample.objects.filter(at__gte=upto, at__lt=before)


def _pack_days(held: Held, before: datetime, until: float, done: Packed) -> None:
    """Pack hours that began before that moment into days.

    An index of hours alone would cost as much as the results that it helps to find, so each check's
    newest chunks are looked through; of a stop longer than LONGEST_STOP some hours stay hours.
    """
    hours = SampleChunk.objects.filter(
        check_of=OuterRef("pk"),
        seconds=HOUR_SECONDS,
        starts_at__lt=before,
        starts_at__gte=before - LONGEST_STOP,
    )
    _by_batches(Check.objects.filter(Exists(hours)), held, until, partial(_join, before), done)


def _by_batches(
    checks: QuerySet[Check],
    held: Held,
    until: float,
    work: Callable[[Sequence[int]], Packed],
    done: Packed,
) -> None:
    """Do the work for some checks after the other, each batch in a transaction of its own."""
    after = 0
    while time.monotonic() < until:
        found = checks.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)
        keys = list(found[:_AT_ONCE])
        if not keys:
            return
        after = keys[-1]
        leases.renew(held, seconds=rollups.LEASE_SECONDS)
        try:
            done.add(_fenced(held, work, keys))
        except ValueError:
            # One check that cannot be packed must not hold up the others.
            for key in keys:
                try:
                    done.add(_fenced(held, work, [key]))
                except ValueError:
                    logger.exception("Results of check %s cannot be packed and stay.", key)


@transaction.atomic
def _fenced(held: Held, work: Callable[[Sequence[int]], Packed], keys: Sequence[int]) -> Packed:
    leases.fence(held)
    return work(keys)


def _take(since: datetime, before: datetime, keys: Sequence[int]) -> Packed:
    """Pack the rows of some checks from `since` until before `before`."""
    rows = []
    with connection.cursor() as cursor:
        moments = [connection.ops.adapt_datetimefield_value(at) for at in (since, before)]
        cursor.execute(_TAKE.format(keys=",".join(map(str, keys))), moments)
        for key, at, ok, ms, manual, status, failure, detail, *phases in cursor.fetchall():
            found = Found(
                results.as_moment(at), bool(ok), ms, bool(manual), status, failure, detail
            )
            rows.append((key, hour_of(found.at), found, phases))
    days = {hour: hour.replace(hour=0) for hour in {hour for _, hour, _, _ in rows}}
    packed = SampleChunk.objects.filter(
        check_of__in=keys, seconds=DAY_SECONDS, starts_at__in=set(days.values())
    )
    packed_days = set(packed.values_list("check_of", "starts_at"))
    targets: _Targets = defaultdict(list)
    for key, hour, found, phases in rows:
        is_day = (key, days[hour]) in packed_days
        target = (key, days[hour], DAY_SECONDS) if is_day else (key, hour, HOUR_SECONDS)
        targets[target].append((found, phases))
    stored, hours = _store(targets)
    of_days: defaultdict[tuple[int, datetime], list[_Row]] = defaultdict(list)
    for chunk, added in stored:
        of_days[chunk.check_of_id, day_of(chunk.starts_at)] += added
    rollups.add_to_days({day: sums.of_found(added) for day, added in of_days.items()})
    return Packed(results=len(rows), hours=hours)


def _join(before: datetime, keys: Sequence[int]) -> Packed:
    """Pack hours of some checks that are older than `before` into days."""
    hours = SampleChunk.objects.filter(
        check_of__in=keys, seconds=HOUR_SECONDS, starts_at__lt=before
    )
    targets: _Targets = defaultdict(list)
    for chunk in hours.order_by("check_of", "starts_at").select_for_update():
        targets[chunk.check_of_id, day_of(chunk.starts_at), DAY_SECONDS] += _rows(chunk)
    # Nobody else writes chunks: the lease is held until this transaction has ended.
    hours.delete()
    stored, days = _store(targets)
    # The hours were added up when they were packed, unless that was by an older version.
    days_of = {(chunk.check_of_id, chunk.starts_at): chunk for chunk, _ in stored}
    for key in rollups.differing({key: (c.n, c.bad) for key, c in days_of.items()}):
        rollups.replace_day(*key, sums.of_found(_rows(days_of[key])))
    return Packed(days=days)


def _store(targets: _Targets) -> tuple[list[tuple[SampleChunk, list[_Row]]], int]:
    """Write chunks, merged with what is there; return each with what is new in it.

    The second value is how many chunks are new.
    """
    there = {
        (chunk.check_of_id, chunk.starts_at, chunk.seconds): chunk
        for chunk in SampleChunk.objects.filter(
            check_of__in={key for key, _, _ in targets},
            starts_at__in={starts_at for _, starts_at, _ in targets},
        ).select_for_update()
    }
    new, stored = [], []
    for target, fresh in targets.items():
        key, starts_at, seconds = target
        chunk = there.get(target)
        if chunk is None:
            chunk = SampleChunk(check_of_id=key, starts_at=starts_at, seconds=seconds)
            new.append(chunk)
            _fill(chunk, fresh)
            stored.append((chunk, fresh))
        else:
            stored.append((chunk, _merge(chunk, fresh)))
    SampleChunk.objects.bulk_create(new)
    return stored, len(new)


def _merge(chunk: SampleChunk, fresh: Sequence[_Row]) -> list[_Row]:
    """Put late results into a chunk; return those that were not there already."""
    there = _rows(chunk)
    seen = {results.key_of(found) for found, _ in there}
    added = [(found, phases) for found, phases in fresh if results.key_of(found) not in seen]
    if added:
        _fill(chunk, there + added)
        chunk.save()
    return added


def _rows(chunk: SampleChunk) -> list[_Row]:
    """Return what a chunk holds; each good result has the mean phases of its part."""
    packed = columns(bytes(chunk.data))
    part = timedelta(seconds=PHASES_SECONDS[chunk.seconds])
    return [
        (found, packed.phases.get((found.at - chunk.starts_at) // part, _NO_PHASES))
        for found in packed.found(chunk.starts_at)
    ]


def _fill(chunk: SampleChunk, rows: Sequence[_Row]) -> None:
    scheduled = [found for found, _ in rows if not found.manual]
    chunk.n = len(scheduled)
    chunk.bad = sum(not found.ok for found in scheduled)
    chunk.data = pack(
        [found for found, _ in rows],
        start=chunk.starts_at,
        seconds=chunk.seconds,
        phases=_means(chunk, rows),
    )


def _means(chunk: SampleChunk, rows: Sequence[_Row]) -> dict[int, Means]:
    """Return the mean phases of the good results of the schedule, by part of the chunk."""
    part = timedelta(seconds=PHASES_SECONDS[chunk.seconds])
    by_part: defaultdict[int, list[Phases]] = defaultdict(list)
    for found, phases in rows:
        if found.ok and not found.manual:
            by_part[(found.at - chunk.starts_at) // part].append(phases)
    means = {}
    for number, all_phases in by_part.items():
        dns, connect, tls, first = (sum(c) / len(c) for c in zip(*all_phases, strict=True))
        means[number] = (dns, connect, tls, first)
    return means
