"""Add results up: of all checks as they come, of each check when its day is packed."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.db.models import Min

from core import leases
from reliability.engine.packing import DAY_SECONDS
from reliability.models import Rollup, Sample
from reliability.selectors import sums

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.leases import Held
    from reliability.selectors.sums import Sum

LEASE: Final = "reliability.results"
"""Whoever adds up or packs results holds it: two at once would count twice."""

LEASE_SECONDS: Final = 300
ALL_SECONDS: Final = (300, 3600, DAY_SECONDS)

_ROWS_AT_ONCE: Final = 200_000


def add_up(*, held: Held | None = None) -> int:
    """Add up what was found of all checks since the last time; return how many results.

    Each result is counted once, whenever it was stored: the rows say up to which one they count.
    Results are stored in the order of their ids, since each flush holds the prober's lease.
    """
    if held is not None:
        return _add_up(held)
    held = leases.acquire(name=LEASE, seconds=LEASE_SECONDS)
    if held is None:
        return 0
    try:
        return _add_up(held)
    finally:
        leases.release(held)


def _add_up(held: Held) -> int:
    scheduled = Sample.objects.filter(manual=False)
    last = scheduled.order_by("-pk").values_list("pk", flat=True).first()
    if last is None:
        return 0
    done = sums.added_through()
    if done is None:
        first = scheduled.aggregate(first=Min("pk"))["first"]
        done = (first or 1) - 1
    counted = 0
    while done < last:
        upto = min(done + _ROWS_AT_ONCE, last)
        leases.renew(held, seconds=LEASE_SECONDS)
        counted += _add(held, done, upto)
        done = upto
    return counted


@transaction.atomic
def _add(held: Held, after: int, upto: int) -> int:
    leases.fence(held)
    found = sums.of_rows(step=ALL_SECONDS[0], after=after, upto=upto)
    for seconds in ALL_SECONDS:
        by_start: defaultdict[int, sums.Sum] = defaultdict(sums.Sum)
        for start, part in found.items():
            by_start[start - start % seconds].merge(part)
        _store_all(by_start, seconds, upto)
    return sum(part.n for part in found.values())


def _store_all(found: dict[int, Sum], seconds: int, through_id: int) -> None:
    moments = {datetime.fromtimestamp(start, UTC): part for start, part in found.items()}
    stored = {
        row.starts_at: row
        for row in Rollup.objects.filter(
            check_of=None, seconds=seconds, starts_at__in=moments
        ).select_for_update()
    }
    for starts_at, part in moments.items():
        row = stored.get(starts_at) or Rollup(starts_at=starts_at, seconds=seconds, n=0, bad=0)
        _grow(row, part)
        row.through_id = through_id
        row.save()


def add_to_days(parts: Mapping[tuple[int, datetime], Sum]) -> None:
    """Add results to those of days of checks, inside the caller's transaction."""
    stored = {
        (row.check_of_id, row.starts_at): row
        for row in Rollup.objects.filter(
            check_of__in={key for key, _ in parts}, starts_at__in={day for _, day in parts}
        ).select_for_update()
    }
    new = []
    for (key, day), part in parts.items():
        row = stored.get((key, day))
        if row is None:
            row = Rollup(check_of_id=key, starts_at=day, seconds=DAY_SECONDS, n=0, bad=0)
            _grow(row, part)
            new.append(row)
        elif part.n:
            _grow(row, part)
            row.save()
    Rollup.objects.bulk_create(new)


def _grow(row: Rollup, part: Sum) -> None:
    whole = sums.of_rollup(row)
    whole.merge(part)
    row.n, row.bad = whole.n, whole.bad
    row.sum_ms = whole.histogram.sum
    row.dns_ms, row.connect_ms, row.tls_ms, row.first_byte_ms = whole.phases
    row.histogram = whole.histogram.to_bytes()
