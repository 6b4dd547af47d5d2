"""What checks and services say now, judged in the database.

The rules of `Says`: with ten thousand checks, reading their times alone would take longer than a
page may. Whatever these functions return is bounded by the page that shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db.models import (
    BigIntegerField,
    Case,
    Count,
    F,
    IntegerField,
    Min,
    Q,
    When,
    Window,
)
from django.db.models.functions import Cast, Coalesce, Greatest, RowNumber
from django.utils import timezone

from reliability.engine.history import micros
from reliability.engine.strikes import State
from reliability.models import Check
from reliability.selectors.epoch import Micros
from reliability.selectors.states import WORST_FIRST, checks

if TYPE_CHECKING:
    from collections.abc import Collection

    from django.db.models import QuerySet

    from reliability.models.says import Says

RANK: Final = {state.value: number for number, state in enumerate(WORST_FIRST)}
UNKNOWN: Final = RANK[State.UNKNOWN.value]
OFF: Final = len(WORST_FIRST)
"""The rank of a check that is switched off: after all others."""
_SECOND: Final = 1_000_000


def _wide(name: str) -> Cast:
    """Return a number of seconds that holds as many microseconds: PostgreSQL would overflow."""
    return Cast(name, BigIntegerField())


def ranked(found: QuerySet[Check]) -> QuerySet[Any]:
    """Give each check its `rank` (see `WORST_FIRST`) and, in microseconds, `began`: since when."""
    now = micros(timezone.now())
    since = Micros("state__since")
    valid_until = Coalesce(
        Micros("state__valid_until"),
        Micros("state__last_at")
        + _wide("interval_seconds") * (3 * _SECOND // 2)
        + _wide("timeout_seconds") * _SECOND,
        output_field=BigIntegerField(),
    )
    said = Case(
        *(When(state__state=state, then=rank) for state, rank in RANK.items()),
        default=UNKNOWN,
    )
    is_valid = Q(state__last_at__isnull=False) & (Q(valid_until__gte=now) | Q(since__gt=now))
    return (
        found.order_by()
        .alias(valid_until=valid_until, since=since)
        .annotate(
            rank=Case(
                When(enabled=False, then=OFF),
                When(is_valid, then=said),
                default=UNKNOWN,
                output_field=IntegerField(),
            ),
            began=Case(
                When(is_valid | Q(state__last_at=None), then=F("since")),
                default=Greatest("valid_until", "since"),
                output_field=BigIntegerField(),
            ),
        )
    )


def of_services(service_ids: Collection[int] | None = None) -> dict[int, State]:
    """Return what services say that have a check that is on: all, or those asked for."""
    found = Check.objects.filter(enabled=True)
    if service_ids is not None:
        found = found.filter(service__in=service_ids)
    rows = ranked(found).values("service_id").annotate(worst=Min("rank"))
    return {key: WORST_FIRST[rank] for key, rank in rows.values_list("service_id", "worst")}


def complete(services: Collection[Any]) -> None:
    """Give services `state`, that of the worst check that is on, and `check_count`: one query."""
    found = ranked(Check.objects.filter(service__in=[service.pk for service in services]))
    rows = found.values("service_id").annotate(worst=Min("rank"), n=Count("pk"))
    told = {key: (rank, n) for key, rank, n in rows.values_list("service_id", "worst", "n")}
    for service in services:
        rank, service.check_count = told.get(service.pk, (OFF, 0))
        service.state = (State.UNKNOWN if rank == OFF else WORST_FIRST[rank]).value


def worst_of_services(service_ids: Collection[int]) -> dict[int, Says]:
    """Return what the worst check of each service says, the one that has been so for longest."""
    on = ranked(checks().filter(service__in=service_ids, enabled=True))
    place = Window(RowNumber(), partition_by=F("service_id"), order_by=["rank", "began", "pk"])
    first = on.annotate(place=place).filter(place=1)
    return {check.service_id: check.says for check in first}


def worst_of_service(service_id: int) -> Says | None:
    """Return the same of one service; None without a check that is on."""
    on = ranked(checks().filter(service=service_id, enabled=True))
    first = on.order_by("rank", "began", "pk").first()
    return first.says if first is not None else None


def counts_of(service_id: int) -> dict[str, int]:
    """Return how many checks of a service say what; `off` for those that are switched off."""
    rows = ranked(Check.objects.filter(service=service_id)).values("rank").annotate(n=Count("pk"))
    found = dict(rows.values_list("rank", "n"))
    words = [*(state.value for state in WORST_FIRST), "off"]
    return {word: found[rank] for rank, word in enumerate(words) if rank in found}


def worst_first(service_id: int) -> QuerySet[Any]:
    """Return the checks of a service as its page lists them: what needs somebody comes first."""
    return ranked(checks().filter(service=service_id)).order_by("rank", "pk")
