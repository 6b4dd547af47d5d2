"""Remove what has grown old; sums of days, histories and incidents are kept for ever."""

from __future__ import annotations

from datetime import UTC, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.utils import timezone

from core.jobs import Job
from reliability.engine.packing import DAY_SECONDS, HOUR_SECONDS
from reliability.models import (
    SLO,
    Alert,
    Check,
    HeartbeatPing,
    Rollup,
    Sample,
    SampleChunk,
    SLOSnapshot,
    UptimeTest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.db.models import QuerySet

SLOTS_KEPT: Final = timedelta(days=8)
"""Sums of all checks over five minutes; the curve of a week reads them."""

HOURS_KEPT: Final = timedelta(days=100)
"""Sums of all checks over an hour; the curve of a month reads them."""

BODIES_KEPT: Final = timedelta(days=30)
"""What jobs sent with their pings; the pings themselves are kept as long as results."""

SNAPSHOTS_KEPT: Final = timedelta(days=7)
"""All snapshots of an SLO; of an older day the last one is kept for ever."""

TESTS_KEPT: Final = timedelta(days=90)
"""Runs of checks that somebody asked for; their results are kept with the others."""

_AT_ONCE: Final = 2_000


def remove_old(*, now: datetime | None = None) -> dict[str, int]:
    """Remove what is too old, in short statements; return how many rows of what."""
    now = now or timezone.now()
    limit = now - timedelta(days=settings.OPS_RESULTS_DAYS)
    all_sums = Rollup.objects.filter(check_of=None)
    ended = UptimeTest.objects.exclude(state__in=[Job.State.QUEUED, Job.State.RUNNING])
    return {
        "results": _chunks(limit) + _remove(Sample.objects.filter(at__lt=limit)),
        "sums": _remove(all_sums.filter(seconds=300, starts_at__lt=now - SLOTS_KEPT))
        + _remove(all_sums.filter(seconds=HOUR_SECONDS, starts_at__lt=now - HOURS_KEPT)),
        "pings": _remove(HeartbeatPing.objects.filter(at__lt=limit)),
        "bodies": _empty_bodies(now - BODIES_KEPT),
        "snapshots": _thin_snapshots(now - SNAPSHOTS_KEPT),
        "tests": _remove(ended.filter(finished_at__lt=now - TESTS_KEPT)),
        "alerts": _remove(Alert.objects.filter(state=Alert.State.RESOLVED, ends_at__lt=limit)),
    }


def _chunks(limit: datetime) -> int:
    """Remove the chunks that ended before the limit; each check's lie together in the index."""
    removed = 0
    for keys in _batches(Check.objects.all(), 200):
        of_checks = SampleChunk.objects.filter(check_of__in=keys)
        for seconds in (HOUR_SECONDS, DAY_SECONDS):
            old = limit - timedelta(seconds=seconds)
            removed += of_checks.filter(seconds=seconds, starts_at__lte=old).delete()[0]
    return removed


def _thin_snapshots(limit: datetime) -> int:
    """Keep of each day the last snapshot of each SLO."""
    removed = 0
    for key in SLO.objects.order_by("pk").values_list("pk", flat=True):
        rows = SLOSnapshot.objects.filter(slo=key, at__lt=limit).order_by("at", "pk")
        gone = []
        by_day = groupby(rows.values_list("pk", "at"), lambda row: row[1].astimezone(UTC).date())
        for _, of_day in by_day:
            gone += [pk for pk, _ in of_day][:-1]
        for first in range(0, len(gone), _AT_ONCE):
            some = SLOSnapshot.objects.filter(pk__in=gone[first : first + _AT_ONCE])
            removed += some.delete()[0]
    return removed


def _empty_bodies(limit: datetime) -> int:
    emptied = 0
    old = HeartbeatPing.objects.filter(at__lt=limit).exclude(body="").order_by("pk")
    while keys := list(old.values_list("pk", flat=True)[:_AT_ONCE]):
        emptied += HeartbeatPing.objects.filter(pk__in=keys).update(body="")
    return emptied


def _remove(rows: QuerySet[Any]) -> int:
    """Remove rows, some thousand at a time: nobody waits long for a lock."""
    removed = 0
    rows = rows.order_by("pk")
    while keys := list(rows.values_list("pk", flat=True)[:_AT_ONCE]):
        removed += rows.model._default_manager.filter(pk__in=keys).delete()[0]  # noqa: SLF001  # Django's public name of the manager
    return removed


def _batches(rows: QuerySet[Any], size: int) -> Iterator[list[int]]:
    after = 0
    while keys := list(
        rows.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:size]
    ):
        yield keys
        after = keys[-1]
