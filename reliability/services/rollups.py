"""Add results up: of all checks as they come, of each check when its hour is packed."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.db import connection, transaction
from django.db.models import Min
from django.utils import timezone

from core import leases
from reliability.engine.packing import DAY_SECONDS, UnreadableError
from reliability.models import Rollup, Sample
from reliability.selectors import results, sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.leases import Held
    from reliability.selectors.sums import Sum

LEASE: Final = "reliability.results"
"""Whoever adds up or packs results holds it: two at once would count twice."""

LEASE_SECONDS: Final = 300
ALL_SECONDS: Final = (300, 3600, DAY_SECONDS)

# What is younger lies in no chunk.
_UNPACKED: Final = timedelta(hours=1)

_ROWS_AT_ONCE: Final = 200_000
_REMOVED_AT_ONCE: Final = 2_000
_SUMS: Final = ("n", "bad", "sum_ms", "dns_ms", "connect_ms", "tls_ms", "first_byte_ms")
_UPDATE: Final = """\
UPDATE reliability_rollup SET n = %s, bad = %s, sum_ms = %s, dns_ms = %s, connect_ms = %s,
  tls_ms = %s, first_byte_ms = %s, histogram = %s WHERE id = %s"""

_Day = tuple[int, datetime]
"""A check, and the begin of a day."""


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
    _drop_repeated(after, upto)
    found = sums.of_rows(step=ALL_SECONDS[0], after=after, upto=upto)
    for seconds in ALL_SECONDS:
        by_start: defaultdict[int, sums.Sum] = defaultdict(sums.Sum)
        for start, part in found.items():
            by_start[start - start % seconds].merge(part)
        _store_all(by_start, seconds, upto)
    return sum(part.n for part in found.values())


def _drop_repeated(after: int, upto: int) -> None:
    """Remove new rows whose results are packed already: they were added up before.

    So come results that a prober stores once more, from the file in which they waited.
    """
    late = Sample.objects.filter(pk__gt=after, pk__lte=upto, at__lt=timezone.now() - _UNPACKED)
    by_check: defaultdict[int, list[tuple[int, datetime, bool]]] = defaultdict(list)
    for pk, key, at, manual in late.values_list("pk", "check_of", "at", "manual").iterator():
        by_check[key].append((pk, at, manual))
    repeated = []
    for key, rows in by_check.items():
        moments = [at for _, at, _ in rows]
        try:
            packed = results.keys_packed(key, min(moments), max(moments))
        except UnreadableError:
            # It is told when these rows are to be packed.
            continue
        repeated += [
            pk for pk, at, manual in rows if results.moment_of(at, manual=manual) in packed
        ]
    for first in range(0, len(repeated), _REMOVED_AT_ONCE):
        Sample.objects.filter(pk__in=repeated[first : first + _REMOVED_AT_ONCE]).delete()


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


def add_to_days(parts: Mapping[_Day, Sum]) -> None:
    """Add results to those of days of checks, inside the caller's transaction."""
    stored = {
        (row.check_of_id, row.starts_at): row
        for row in Rollup.objects.filter(
            check_of__in={key for key, _ in parts}, starts_at__in={day for _, day in parts}
        ).select_for_update()
    }
    new, grown = [], []
    for (key, day), part in parts.items():
        row = stored.get((key, day))
        if row is None:
            row = Rollup(check_of_id=key, starts_at=day, seconds=DAY_SECONDS, n=0, bad=0)
            _grow(row, part)
            new.append(row)
        elif part.n:
            _grow(row, part)
            grown.append(row)
    Rollup.objects.bulk_create(new)
    _update(grown)


def differing(counted: Mapping[_Day, tuple[int, int]]) -> list[_Day]:
    """Return the days of checks whose sums are of another number of results and failures."""
    rows = Rollup.objects.filter(
        check_of__in={key for key, _ in counted}, starts_at__in={day for _, day in counted}
    )
    stored = {
        (key, day): (n, bad)
        for key, day, n, bad in rows.values_list("check_of", "starts_at", "n", "bad")
    }
    return [day for day, counts in counted.items() if stored.get(day) != counts]


def replace_day(check_id: int, day: datetime, whole: Sum) -> None:
    """Write what a check found on a day, whatever was added up before."""
    row = Rollup.objects.select_for_update().filter(check_of=check_id, starts_at=day).first()
    row = row or Rollup(check_of_id=check_id, starts_at=day, seconds=DAY_SECONDS)
    _write(row, whole)
    row.save()


def _update(rows: Sequence[Rollup]) -> None:
    """Write what has grown: many small statements, sent together."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _UPDATE,
            [
                (*(getattr(row, name) for name in _SUMS), bytes(row.histogram), row.pk)
                for row in rows
            ],
        )


def _grow(row: Rollup, part: Sum) -> None:
    whole = sums.of_rollup(row)
    whole.merge(part)
    _write(row, whole)


def _write(row: Rollup, whole: Sum) -> None:
    row.n, row.bad = whole.n, whole.bad
    row.sum_ms = whole.histogram.sum
    row.dns_ms, row.connect_ms, row.tls_ms, row.first_byte_ms = whole.phases
    row.histogram = whole.histogram.to_bytes()
