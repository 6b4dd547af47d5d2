"""What objectives cost: judging all of them, a look while nothing burns, and how both grow.

Each service has one check whose thirty days hold a hundred stretches; a hundredth of them is down.
On SQLite unless DATABASE_URL is set.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIZES = (250, 1_000)
_STRETCHES = 100
_ROUNDS = 3
_DOWN_ONE_IN = 100


def run() -> Iterator[Row]:
    """Measure at both sizes; the larger one against limits, the growth against its size."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    call_command("migrate", verbosity=0)
    now = timezone.now()
    judged = {}
    made = 0
    for size in _SIZES:
        _add(made, size, now)
        made = size
        judged[size] = _judge(now)
        quiet, burning = _look(now)
    small, large = _SIZES
    yield Row(f"judging {large:,} objectives, CPU", judged[large], "ms", "limit 2,000 ms", 2_000)
    yield Row(
        f"an objective of {large:,} beside one of {small:,}, CPU",
        judged[large] / large,
        "ms",
        "its cost there, and a fifth",
        judged[small] / small * 1.2,
    )
    yield Row(f"a look at {large:,} while nothing burns, CPU", quiet, "ms", "limit 10 ms", 10)
    yield Row(f"a look while {large // _DOWN_ONE_IN} burn, CPU", burning, "ms", "limit 150 ms", 150)
    yield Row("eight windows of one line, CPU", _windows(now) * 1_000, "us", "limit 100 us", 100)


def _add(first: int, last: int, now: datetime) -> None:
    """Add services with a check and its stretches, as if they had been watched for a month."""
    from audit.services.acts import unwatched
    from reliability.models import SLO, Check, CheckState, Service, StateSegment

    begin, step = now - timedelta(days=31), timedelta(days=31) / _STRETCHES
    with unwatched("a benchmark"):
        services = Service.objects.bulk_create(
            Service(name=f"Service {number}") for number in range(first, last)
        )
        checks = Check.objects.bulk_create(
            Check(service=service, url="http://127.0.0.1:9/", created_at=begin)
            for service in services
        )
        SLO.objects.bulk_create(SLO(service=service) for service in services)
    CheckState.objects.bulk_create(
        CheckState(check_of=check, state="up", standing="up", since=now - step, last_at=now)
        for check in checks
    )
    StateSegment.objects.bulk_create(
        (
            StateSegment(
                check_of=check,
                standing="up" if number % 2 else "degraded",
                started_at=begin + step * number,
                ended_at=begin + step * (number + 1) if number + 1 < _STRETCHES else None,
            )
            for check in checks
            for number in range(_STRETCHES)
        ),
        batch_size=5_000,
    )


def _judge(now: datetime) -> float:
    from reliability.services import guard

    return _least(lambda: guard.guard(now=now))


def _look(now: datetime) -> tuple[float, float]:
    """Return what a look costs while nothing is down, and while a hundredth of all is."""
    from reliability.models import StateSegment
    from reliability.services import guard

    quiet = _least(lambda: guard.watch_fast(with_events=False, now=now))
    is_open = StateSegment.objects.filter(ended_at=None)
    keys = list(is_open.order_by("pk").values_list("pk", flat=True)[::_DOWN_ONE_IN])
    StateSegment.objects.filter(pk__in=keys).update(standing="down")
    burning = _least(lambda: guard.watch_fast(with_events=False, now=now))
    StateSegment.objects.filter(pk__in=keys).update(standing="up")
    return quiet, burning


def _windows(now: datetime) -> float:
    from reliability.models import SLO
    from reliability.selectors import objectives

    slo = SLO.objects.order_by("pk").select_related("service")[0]
    timeline = objectives.readings([slo], now)[slo.pk].timeline
    span = timeline.end - timeline.start

    def all_windows() -> None:
        for part in range(1, 9):
            timeline.between(timeline.end - span // part, timeline.end)

    return _least(lambda: [all_windows() for _ in range(100)]) / 100


def _least(work: Callable[[], object]) -> float:
    """Return the least milliseconds of CPU: neighbours on the machine only ever add."""
    spent = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent) * 1_000
