"""Results sorted into equal steps of time, each latency still by itself."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final

from django.db import connection

from reliability.engine.packing import PHASES_SECONDS, columns
from reliability.selectors.results import chunks_within
from reliability.selectors.sums import EPOCH

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from reliability.engine.packing import Columns

_NO_PHASES: Final = (0.0, 0.0, 0.0, 0.0)
# Names of our own tables and columns, and keys; values are parameters.
_ROWS: Final = """\
SELECT check_id, {epoch}, ok, latency_ms, dns_ms, connect_ms, tls_ms, first_byte_ms
FROM reliability_sample
WHERE check_id IN ({keys}) AND at >= %s AND at < %s AND NOT manual"""


@dataclass(slots=True)
class Cell:
    """The results of one step: latencies of good ones, how many failed, sums of phases."""

    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0
    phases: tuple[float, ...] = _NO_PHASES

    def add_phases(self, phases: tuple[float, ...], times: int) -> None:
        """Add the phases of so many good results."""
        a, b, c, d = self.phases
        e, f, g, h = phases
        self.phases = (a + e * times, b + f * times, c + g * times, d + h * times)

    def percentile(self, share: float) -> float:
        """Return the least latency that so many did not exceed; the latencies must be sorted."""
        return self.latencies_ms[max(ceil(share * len(self.latencies_ms)), 1) - 1]


Cells = defaultdict[int, Cell]


def read(check_ids: Collection[int], start: datetime, end: datetime, step: int) -> Cells:
    """Return the results of the schedule by the number of their step since 1970."""
    cells: Cells = defaultdict(Cell)
    if not check_ids:
        return cells
    # Rows before chunks: what is packed in between is met twice, and known by its second.
    seen = _read_rows(cells, check_ids, start, end, step)
    first_row = min((second for _, second in seen), default=None)
    chunks = chunks_within(check_ids, start, end).order_by()
    window = start.timestamp(), end.timestamp()
    for key, starts_at, data in chunks.values_list("check_of", "starts_at", "data").iterator():
        packed = columns(bytes(data))
        begin = int(starts_at.timestamp())
        known = (
            {second - begin for owner, second in seen if owner == key and second >= begin}
            if first_row is not None and first_row < begin + packed.seconds
            else set()
        )
        _read_chunk(cells, packed, begin, window, step, known)
    return cells


def _read_rows(
    cells: Cells, check_ids: Collection[int], start: datetime, end: datetime, step: int
) -> set[tuple[int, int]]:
    sql = _ROWS.format(
        epoch=EPOCH[connection.vendor], keys=",".join(str(int(key)) for key in check_ids)
    )
    # SQLite keeps times as text, which compares like the times themselves.
    moments = [connection.ops.adapt_datetimefield_value(at) for at in (start, end)]
    seen = set()
    with connection.cursor() as cursor:
        cursor.execute(sql, moments)
        for key, second, ok, ms, *phases in cursor:
            seen.add((key, second))
            cell = cells[second // step]
            if ok:
                cell.latencies_ms.append(ms)
                cell.add_phases(tuple(phases), 1)
            else:
                cell.failed += 1
    return seen


def _read_chunk(
    cells: Cells,
    packed: Columns,
    begin: int,
    window: tuple[float, float],
    step: int,
    known: set[int],
) -> None:
    """Sort a chunk in, run after run: most chunks are one run, whose parts are cut out whole."""
    tenths, latencies = packed.tenths, packed.latencies_ms
    low = bisect_left(tenths, ceil((window[0] - begin) * 10))
    high = bisect_left(tenths, ceil((window[1] - begin) * 10))
    # A step may span several parts with phases of their own.
    each = PHASES_SECONDS[packed.seconds]
    part = min(step, each)
    at = 0
    for kind, times in packed.runs:
        first, last = max(at, low), min(at + times, high)
        at += times
        if kind.manual:
            continue
        while first < last:
            number = (begin * 10 + tenths[first]) // (part * 10)
            until = bisect_left(tenths, (number + 1) * part * 10 - begin * 10, first, last)
            cell = cells[number * part // step]
            count = until - first
            found = latencies[first:until]
            if known:
                new = [n for n in range(first, until) if tenths[n] // 10 not in known]
                found = [latencies[n] for n in new]
                count = len(new)
            if kind.ok:
                cell.latencies_ms += found
                phases = packed.phases.get(tenths[first] // (each * 10), _NO_PHASES)
                cell.add_phases(phases, count)
            else:
                cell.failed += count
            first = until
