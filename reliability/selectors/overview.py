"""What all services say now, in a constant number of queries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from reliability.engine.strikes import State
from reliability.models import Incident, Service
from reliability.models.incidents import IS_OVER
from reliability.selectors import ranks
from reliability.selectors.states import WORST_FIRST

if TYPE_CHECKING:
    from datetime import datetime

    from reliability.models.says import Says

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
    said = ranks.of_services()
    found: Counter[State] = Counter()
    rows = []
    columns = ("pk", "tier", "name") if most else ("pk",)
    for key, *row in Service.objects.order_by().values_list(*columns):
        state = said.get(key, State.UNKNOWN)
        found[state] += 1
        if most:
            tier, name = row
            rows.append(
                (ranks.RANK[state.value], _TIERS.get(tier, len(_TIERS)), name.casefold(), key)
            )
    keys = [key for *_, key in nsmallest(most, rows)]
    shown = Service.objects.in_bulk(keys)
    worst = ranks.worst_of_services(keys)
    return Overview(
        counts={state: found[state] for state in WORST_FIRST},
        worst=tuple(_now(shown[key], worst.get(key)) for key in keys if key in shown),
        unwatched=max(found.total() - len(said), 0),
    )


def counts() -> dict[str, int]:
    """Return how many services say what."""
    return {state.value: count for state, count in overview().counts.items()}


def open_count() -> int:
    """Return how many incidents are open."""
    return Incident.objects.exclude(IS_OVER).count()


def _now(service: Service, says: Says | None) -> ServiceNow:
    return ServiceNow(
        pk=service.pk,
        name=service.name,
        tier=service.tier,
        environment=service.environment,
        owner=service.owner,
        state=says.state if says else State.UNKNOWN,
        since=says.since if says else None,
    )
