"""Judge objectives: snapshots of where they stand, and alerts when their budgets burn."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from core.actors import Actor
from reliability.engine.burn_rate import PAIRS, WINDOWS
from reliability.engine.rules import SLO_BUDGET_LOW, SLO_FAST_BURN, SLO_SLOW_BURN
from reliability.engine.slo import State
from reliability.engine.strikes import Standing as Stands
from reliability.models import SLO, Alert, SLOSnapshot, StateSegment
from reliability.selectors import burning, objectives
from reliability.selectors.indicators.base import Counts
from reliability.selectors.indicators.registry import INDICATORS
from reliability.services import alerts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from reliability.engine.burn_rate import Pair
    from reliability.engine.rules import Rule
    from reliability.selectors.indicators.base import Reading
    from reliability.selectors.objectives import Standing

logger = logging.getLogger(__name__)

GUARD: Final = Actor.schedule("SLO guard")

_INSERTED_AT_ONCE: Final = 500
_FAST: Final = tuple(pair for pair in PAIRS if pair.is_fast)
_SLOW: Final = tuple(pair for pair in PAIRS if not pair.is_fast)
_LOOKS_BACK: Final = max(WINDOWS[pair.long] for pair in _FAST) + timedelta(hours=1)
_RULES: Final[tuple[tuple[Rule, tuple[Pair, ...]], ...]] = (
    (SLO_FAST_BURN, _FAST),
    (SLO_SLOW_BURN, _SLOW),
)
_LOW: Final = frozenset({State.AT_RISK, State.EXHAUSTED})


def guard(*, now: datetime | None = None) -> list[Standing]:
    """Judge every objective that is on: store a snapshot of each, raise and end their alerts."""
    at = now or timezone.now()
    found = objectives.all_standings(now=at)
    _store(found)
    for standing in found:
        slo, open_rules = standing.slo, standing.alerts
        for rule, pairs in _RULES:
            _follow_burn(slo, standing.reading, rule, pairs, at=at, is_open=rule.name in open_rules)
        _follow_budget(standing, is_open=SLO_BUDGET_LOW.name in open_rules)
    return found


def watch_fast(*, with_events: bool, now: datetime | None = None) -> int:
    """Look for budgets that burn fast; return how many objectives were looked at closely.

    Costs two small queries while nothing burns: only objectives whose checks were down within the
    longest of the fast windows, and those with an open alert, are read at all. Objectives that
    count events are read only `with_events`.
    """
    at = now or timezone.now()
    wanted = _suspects(at, with_events=with_events)
    if not wanted:
        return 0
    rows = list(SLO.objects.filter(pk__in=wanted, enabled=True).select_related("service"))
    held = objectives.open_rules([slo.pk for slo in rows])
    found = objectives.readings(rows, at, back=_LOOKS_BACK)
    for slo in rows:
        is_open = SLO_FAST_BURN.name in held.get(slo.pk, ())
        _follow_burn(slo, found[slo.pk], SLO_FAST_BURN, _FAST, at=at, is_open=is_open, again=False)
    return len(rows)


def _store(found: Sequence[Standing]) -> None:
    with transaction.atomic():
        # What was deleted meanwhile has no snapshots; what is here stays until they are stored.
        rows = SLO.objects.select_for_update(no_key=True).order_by("pk")
        there = set(rows.values_list("pk", flat=True))
        SLOSnapshot.objects.bulk_create(
            [_snapshot(one) for one in found if one.slo.pk in there],
            batch_size=_INSERTED_AT_ONCE,
        )


def _is_on(slo: SLO) -> bool:
    """Lock an objective in the running transaction; False if it is gone or off by now."""
    on = SLO.objects.select_for_update(no_key=True).filter(pk=slo.pk, enabled=True)
    return on.values_list("pk", flat=True).first() is not None


def _suspects(at: datetime, *, with_events: bool) -> set[int]:
    lasting = Q(ended_at=None) | Q(ended_at__gt=at - _LOOKS_BACK)
    down = StateSegment.objects.filter(lasting, standing=Stands.DOWN.value)
    services = set(down.values_list("check_of__service_id", flat=True).distinct())
    told = Alert.objects.filter(rule=SLO_FAST_BURN.name, slo__isnull=False).exclude(
        state=Alert.State.RESOLVED
    )
    wanted = Q(service__in=services) | Q(pk__in=told.values("slo_id"))
    wanted |= Q(unknown_policy=SLO.Unknown.BAD)
    if with_events:
        keys = [key for key, one in INDICATORS.items() if one.counts is Counts.EVENTS]
        wanted |= Q(indicator__in=keys)
    return set(SLO.objects.filter(wanted, enabled=True).values_list("pk", flat=True))


def _follow_burn(
    slo: SLO,
    reading: Reading,
    rule: Rule,
    pairs: Sequence[Pair],
    *,
    at: datetime,
    is_open: bool,
    again: bool = True,
) -> None:
    """Raise the alert of a rule if one of its pairs fires, end it if all of them are over.

    An alert that is open is counted once more only if `again`.
    """
    fired = burning.firing(slo, reading, pairs, at=at)
    if fired is not None:
        if is_open and not again:
            return
        speed = "fast" if rule is SLO_FAST_BURN else "steadily"
        _fire(
            slo,
            rule,
            at,
            title=f"{slo}: the error budget burns {speed}",
            detail=burning.detail(slo, fired),
            labels={"window": fired.pair.name},
        )
    elif is_open and burning.is_over(slo, reading, pairs, at=at):
        _resolve(slo, rule, at, "The budget no longer burns faster than it may.")


def _follow_budget(standing: Standing, *, is_open: bool) -> None:
    """Raise an alert when less than a fifth is left; end it two points above that."""
    slo, at = standing.slo, standing.at
    if standing.state in _LOW and burning.is_low(standing):
        _fire(
            slo,
            SLO_BUDGET_LOW,
            at,
            title=f"{slo}: {burning.left(standing)} of the error budget is left",
            detail=burning.budget_detail(standing),
            labels={"state": standing.state.value},
        )
    elif is_open and standing.state in {State.OK, State.WATCH}:
        _resolve(slo, SLO_BUDGET_LOW, at, f"{burning.left(standing)} of the budget is left again.")


def _fire(
    slo: SLO, rule: Rule, at: datetime, *, title: str, detail: str, labels: Mapping[str, str]
) -> None:
    with transaction.atomic():
        if _is_on(slo):
            alerts.fire(
                actor=GUARD,
                rule=rule,
                key=_key(slo),
                title=title,
                detail=detail,
                at=at,
                service=slo.service,
                slo=slo,
                labels=labels,
            )


def _resolve(slo: SLO, rule: Rule, at: datetime, text: str) -> None:
    with transaction.atomic():
        alerts.resolve(actor=GUARD, rule=rule, key=_key(slo), at=at, text=text)


def _key(slo: SLO) -> dict[str, str]:
    return {"slo": str(slo.pk)}


def _snapshot(found: Standing) -> SLOSnapshot:
    return SLOSnapshot(
        slo=found.slo,
        at=found.at,
        state=found.state.value,
        sli=found.sli,
        bad=found.bad,
        total=found.total,
        coverage=found.coverage,
        budget=found.budget,
        remaining_share=found.remaining_share,
        burn_rates=found.burn_rates,
        exhausted_at=found.exhausted_at,
    )
