"""What all services say now, in a constant number of queries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from reliability.engine.strikes import Rules, State
from reliability.models import Check, Incident, Service
from reliability.selectors.states import WORST_FIRST

if TYPE_CHECKING:
    from datetime import datetime

_RANK: Final = {state.value: number for number, state in enumerate(WORST_FIRST)}
_TIERS: Final = {
    Service.Tier.CRITICAL.value: 0,
    Service.Tier.IMPORTANT.value: 1,
    Service.Tier.STANDARD.value: 2,
}
_UNKNOWN: Final = _RANK[State.UNKNOWN.value]


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
    checks: int
    """How many of its checks are on."""


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
    said = _said()
    counts: Counter[State] = Counter()
    unwatched = 0
    rows = []
    columns = ("pk", "name", "tier") if most else ("pk",)
    for key, *row in Service.objects.order_by("pk").values_list(*columns):
        rank, _, checks = said.get(key, (_UNKNOWN, None, 0))
        counts[WORST_FIRST[rank]] += 1
        unwatched += not checks
        if most:
            name, tier = row
            rows.append((rank, _TIERS.get(tier, 3), name.casefold(), key))
    rows.sort()
    keys = [key for *_, key in rows[:most]]
    shown = Service.objects.in_bulk(keys)
    return Overview(
        counts={state: counts[state] for state in WORST_FIRST},
        worst=tuple(_now(shown[key], said.get(key)) for key in keys if key in shown),
        unwatched=unwatched,
    )


def counts() -> dict[str, int]:
    """Return how many services say what, in two queries."""
    return {state.value: count for state, count in overview().counts.items()}


def open_count() -> int:
    """Return how many incidents are open."""
    return Incident.objects.exclude(state=Incident.State.RESOLVED).count()


def _now(service: Service, said: tuple[int, datetime | None, int] | None) -> ServiceNow:
    rank, since, checks = said or (_UNKNOWN, None, 0)
    return ServiceNow(
        pk=service.pk,
        name=service.name,
        tier=service.tier,
        environment=service.environment,
        owner=service.owner,
        state=WORST_FIRST[rank],
        since=since,
        checks=checks,
    )


def _said() -> dict[int, tuple[int, datetime | None, int]]:
    """Return rank, since when, and the number of checks that are on, by service.

    The same rule as `Says`, over plain rows: with ten thousand checks, model instances alone
    would take longer than the page may.
    """
    now = timezone.now()
    validity = cache(lambda interval, timeout: Rules(interval, timeout).validity)
    said: dict[int, tuple[int, datetime | None, int]] = {}
    rows = Check.objects.filter(enabled=True).values_list(
        "service_id",
        "interval_seconds",
        "timeout_seconds",
        "state__state",
        "state__since",
        "state__last_at",
    )
    for service_id, interval, timeout, state, began_at, last_at in rows.order_by():
        rank, since = _RANK.get(state, _UNKNOWN), began_at
        if last_at is None:
            rank = _UNKNOWN
        elif now > (expires_at := max(last_at + validity(interval, timeout), began_at)):
            rank, since = _UNKNOWN, expires_at
        known = said.get(service_id)
        if known is None or rank < known[0]:
            said[service_id] = (rank, since, (known[2] if known else 0) + 1)
        else:
            earliest = min(since, known[1]) if rank == known[0] and known[1] else known[1]
            said[service_id] = (known[0], earliest, known[2] + 1)
    return said
