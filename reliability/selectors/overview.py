"""What all services say now, in a constant number of queries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Case, F, FloatField, Func, IntegerField, Min, Q, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from reliability.engine.strikes import State
from reliability.models import Check, Incident, Service
from reliability.selectors import states
from reliability.selectors.states import WORST_FIRST

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import QuerySet
    from django.db.models.sql.compiler import SQLCompiler

_RANK: Final = {state.value: number for number, state in enumerate(WORST_FIRST)}
_UNKNOWN: Final = _RANK[State.UNKNOWN.value]
_TIERS: Final = {
    Service.Tier.CRITICAL.value: 0,
    Service.Tier.IMPORTANT.value: 1,
    Service.Tier.STANDARD.value: 2,
}


@dataclass(frozen=True, slots=True)
class ServiceNow:
    """A service with what it says now."""

    pk: int
    name: str
    tier: str
    environment: str
    owner: str
    state: State
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Overview:
    """How many services say what, and the worst of them."""

    counts: dict[State, int]
    worst: tuple[ServiceNow, ...]
    unwatched: int
    """Services without a check that is on."""

    @property
    def total(self) -> int:
        """How many services there are."""
        return sum(self.counts.values())


def overview(*, most: int = 0) -> Overview:
    """Return what all services say, and the worst `most` of them: by state, tier and name."""
    ranks = dict(_ranks())
    found: Counter[State] = Counter()
    rows = []
    columns = ("pk", "tier", "name") if most else ("pk",)
    for key, *row in Service.objects.order_by().values_list(*columns):
        rank = ranks.get(key, _UNKNOWN)
        found[WORST_FIRST[rank]] += 1
        if most:
            tier, name = row
            rows.append((rank, _TIERS.get(tier, len(_TIERS)), name.casefold(), key))
    keys = [key for *_, key in nsmallest(most, rows)]
    shown = states.services().in_bulk(keys)
    return Overview(
        counts={state: found[state] for state in WORST_FIRST},
        worst=tuple(_now(shown[key]) for key in keys if key in shown),
        unwatched=max(found.total() - len(ranks), 0),
    )


def counts() -> dict[str, int]:
    """Return how many services say what."""
    return {state.value: count for state, count in overview().counts.items()}


def open_count() -> int:
    """Return how many incidents are open."""
    return Incident.objects.exclude(state=Incident.State.RESOLVED).count()


def _now(service: Service) -> ServiceNow:
    return ServiceNow(
        pk=service.pk,
        name=service.name,
        tier=service.tier,
        environment=service.environment,
        owner=service.owner,
        state=states.worst_state(service),
        since=states.service_since(service),
    )


class _Seconds(Func):
    """A moment as seconds since 1970."""

    output_field = FloatField()

    def as_sqlite(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        **more: Any,  # noqa: ANN401
    ) -> tuple[str, Any]:
        """Count from the Julian day, which keeps parts of a second."""
        template = "((julianday(%(expressions)s) - 2440587.5) * 86400.0)"
        return super().as_sql(compiler, connection, template=template, **more)

    def as_postgresql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        **more: Any,  # noqa: ANN401
    ) -> tuple[str, Any]:
        """Ask for the epoch."""
        template = "EXTRACT(EPOCH FROM %(expressions)s)::double precision"
        return super().as_sql(compiler, connection, template=template, **more)


def _ranks() -> QuerySet[Check, tuple[int, int]]:
    """Return the rank of the worst check that is on, by service.

    The rule of `Says`, in the database: with ten thousand checks, reading their times alone would
    take longer than the page may.
    """
    now = timezone.now().timestamp()
    valid_until = Coalesce(
        _Seconds("state__valid_until"),
        _Seconds("state__last_at") + 1.5 * F("interval_seconds") + F("timeout_seconds"),
        output_field=FloatField(),
    )
    said = Case(
        *(When(state__state=state, then=rank) for state, rank in _RANK.items()),
        default=_UNKNOWN,
    )
    is_valid = Q(state__last_at__isnull=False) & (Q(valid_until__gte=now) | Q(began__gt=now))
    rank = Case(When(is_valid, then=said), default=_UNKNOWN, output_field=IntegerField())
    return (
        Check.objects.filter(enabled=True)
        .order_by()
        .alias(valid_until=valid_until, began=_Seconds("state__since"))
        .values("service_id")
        .annotate(rank=Min(rank))
        .values_list("service_id", "rank")
    )
