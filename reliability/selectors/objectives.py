"""Where objectives stand: what was good, how much of the budget is left, how fast it burns."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from reliability.engine import burn_rate
from reliability.engine.burn_rate import Burn
from reliability.engine.history import micros, moment
from reliability.engine.rules import SLO_FAST_BURN, SLO_SLOW_BURN
from reliability.engine.slo import GATE, State, Unknown, budget, state_of
from reliability.models import SLO, Alert, SLOSnapshot
from reliability.selectors.indicators.base import Counts
from reliability.selectors.indicators.registry import INDICATORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from django.db.models import QuerySet

    from reliability.selectors.indicators.base import Indicator, Reading

_SECOND: Final = 1_000_000
_BATCH: Final = 500
_LONGEST_BURN: Final = max(burn_rate.WINDOWS.values())
_DECEMBER: Final = 12

CONSEQUENCES: Final[dict[str, str]] = {
    State.OK: "Release as usual.",
    State.WATCH: "More than half of the budget is spent: look at what spent it.",
    State.AT_RISK: "Less than a fifth of the budget is left: release only what makes it better.",
    State.EXHAUSTED: "The budget is spent: freeze releases until the service has recovered.",
    State.INSUFFICIENT: "Nobody can say how it stands: see why its checks do not answer.",
}
"""What follows from each state, unless the objective says something of its own."""

BURNING: Final[dict[str, str]] = {
    SLO_FAST_BURN.name: (
        "Burning: the budget goes far faster than it may. Release nothing but what ends that."
    ),
    SLO_SLOW_BURN.name: (
        "Burning: the budget goes faster than it may. Release only what makes it better."
    ),
}
"""What follows from an alert, worst first, however much of the budget is still left."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one objective stands.

    `budget`, `bad` and `total` are seconds, or events where events count. Burn rates are by window,
    such as 1h; None where nothing is known. `per_day` is the share of the budget that the last day
    spent.
    """

    slo: SLO
    at: datetime
    starts_at: datetime
    ends_at: datetime
    """Later than `at` within a calendar month."""
    state: State
    sli: float | None
    coverage: float | None
    budget: float
    bad: float
    total: float
    remaining_share: float | None
    burn_rates: dict[str, float | None]
    per_day: float | None
    exhausted_at: datetime | None
    is_sufficient: bool
    reading: Reading = field(repr=False, compare=False)
    burns: dict[str, Burn] = field(repr=False, compare=False)
    alerts: frozenset[str] = frozenset()
    """The rules of its open alerts."""

    @property
    def window(self) -> timedelta:
        """How long its window is."""
        return self.ends_at - self.starts_at

    @property
    def used_share(self) -> float | None:
        """How much of the budget is spent; more than 1 if it is overspent."""
        return None if self.remaining_share is None else 1 - self.remaining_share

    @property
    def fails_gate(self) -> bool:
        """Tell whether releases have to wait for it."""
        left = self.remaining_share
        return self.slo.gate and self.is_sufficient and left is not None and left < GATE

    @property
    def counts_events(self) -> bool:
        """Tell whether its amounts are events and not seconds."""
        return indicator_of(self.slo).counts is Counts.EVENTS

    @property
    def burning(self) -> str:
        """The rule of the worst open alert that says that its budget burns; empty without any."""
        return next((rule for rule in BURNING if rule in self.alerts), "")

    @property
    def consequence(self) -> str:
        """What follows from how it stands and from how it burns."""
        is_low = self.state in {State.AT_RISK, State.EXHAUSTED}
        text = CONSEQUENCES[self.state]
        if self.slo.policy and (is_low or self.burning):
            text = self.slo.policy
        if not self.burning:
            return text
        is_usual = self.state == State.OK and not self.slo.policy
        return BURNING[self.burning] if is_usual else f"{BURNING[self.burning]} {text}"

    @property
    def is_too_coarse(self) -> bool:
        """Tell whether its checks ask too rarely for what it promises."""
        return is_too_coarse(self.slo.objective, self.window, self.reading.interval_seconds)


def slos() -> QuerySet[SLO]:
    """Return objectives with their service and the state they were found in last."""
    last = SLOSnapshot.objects.filter(slo=OuterRef("pk")).order_by("-at", "-pk")
    return SLO.objects.select_related("service").annotate(
        last_state=Subquery(last.values("state")[:1])
    )


def standing(slo: SLO, *, now: datetime | None = None) -> Standing:
    """Return where an objective stands, on or off."""
    return next(standings(slos().filter(pk=slo.pk), now=now))


def of_service(service_id: int, *, now: datetime | None = None) -> list[Standing]:
    """Return where the objectives of a service stand, those that are on."""
    return list(standings(slos().filter(service=service_id, enabled=True).order_by("pk"), now=now))


def all_standings(*, now: datetime | None = None) -> list[Standing]:
    """Return where all objectives stand that are on, by name of their service."""
    return list(standings(slos().filter(enabled=True), now=now))


def standings(wanted: Iterable[SLO], *, now: datetime | None = None) -> Iterator[Standing]:
    """Return where these objectives stand, in their order; they come from `slos()`.

    What they read is read for many at once.
    """
    at = now or timezone.now()
    rows = list(wanted)
    for first in range(0, len(rows), _BATCH):
        batch = rows[first : first + _BATCH]
        found = readings(batch, at)
        alerts = open_rules([slo.pk for slo in batch])
        yield from (
            replace(_measure(slo, found[slo.pk], at), alerts=frozenset(alerts.get(slo.pk, ())))
            for slo in batch
        )


def open_rules(slo_ids: Iterable[int]) -> dict[int, set[str]]:
    """Return the rules of the open alerts of each of these objectives that has some."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    rows = Alert.objects.filter(slo__in=slo_ids).exclude(state=Alert.State.RESOLVED)
    for slo_id, rule in rows.order_by().values_list("slo_id", "rule"):
        if slo_id is not None:
            found[slo_id].add(rule)
    return dict(found)


def readings(
    batch: Sequence[SLO], at: datetime, *, back: timedelta | None = None
) -> dict[int, Reading]:
    """Return what the indicators of objectives read: so far back, or for all their windows."""
    groups: defaultdict[tuple[str, datetime], list[SLO]] = defaultdict(list)
    for slo in batch:
        start = at - back if back else min(window_of(slo, at)[0], at - _LONGEST_BURN)
        groups[slo.indicator, start].append(slo)
    found: dict[int, Reading] = {}
    for (key, start), members in groups.items():
        found |= INDICATORS[key].read(members, start, at)
    return found


def window_of(slo: SLO, at: datetime) -> tuple[datetime, datetime]:
    """Return the window of an objective at a moment; a calendar month ends in the future."""
    if slo.window == SLO.Window.ROLLING:
        return at - timedelta(days=slo.window_days), at
    day = at.astimezone(UTC)
    start = datetime(day.year, day.month, 1, tzinfo=UTC)
    is_last = start.month == _DECEMBER
    return start, start.replace(year=start.year + is_last, month=1 if is_last else start.month + 1)


def target(objective: float) -> str:
    """Return an objective in percent, with all its digits."""
    return f"{objective * 100:.6f}".rstrip("0").rstrip(".") + " %"


def promise(slo: SLO) -> str:
    """Return what an objective promises, such as 99.5 % over 30 days."""
    window = "this month" if slo.window == SLO.Window.CALENDAR else f"{slo.window_days} days"
    return f"{target(slo.objective)} over {window}"


def indicator_of(slo: SLO) -> Indicator:
    """Return what an objective is about."""
    return INDICATORS[slo.indicator]


def is_too_coarse(objective: float, window: timedelta, interval_seconds: float | None) -> bool:
    """Tell whether single lost probes would burn faster than the first alert allows."""
    return interval_seconds is not None and burn_rate.is_too_coarse(
        objective=objective, window=window, interval_seconds=interval_seconds
    )


def burn_of(slo: SLO, reading: Reading, start: datetime, end: datetime) -> Burn:
    """Return what happened between two moments."""
    amounts = reading.timeline.between(micros(start), micros(end))
    good: float
    bad: float
    if reading.events is not None:
        good, bad = reading.events.between(start, end)
    else:
        good, bad = (amount / _SECOND for amount in amounts.judged(Unknown(slo.unknown_policy)))
    coverage = amounts.coverage
    if coverage is not None and slo.unknown_policy == SLO.Unknown.BAD:
        # What nobody knows has been judged: it is bad.
        coverage = 1.0
    return Burn(good, bad, coverage, is_whole=not amounts.absent)


def _measure(slo: SLO, reading: Reading, at: datetime) -> Standing:
    start, end = window_of(slo, at)
    found = budget(
        objective=slo.objective,
        window=micros(end) - micros(start),
        amounts=reading.timeline.between(micros(start), micros(at)),
        unknown=Unknown(slo.unknown_policy),
        events=reading.events.between(start, at) if reading.events is not None else None,
    )
    burns = {
        name: burn_of(slo, reading, at - length, at)
        for name, length in burn_rate.WINDOWS.items()
        if length <= end - start
    }
    rates = {
        name: burns[name].rate(slo.objective) if name in burns else None
        for name in burn_rate.WINDOWS
    }
    left = burn_rate.exhausted_after(
        remaining_share=found.remaining_share, hourly_rate=rates["1h"], window=end - start
    )
    daily = rates["1d"]
    last: str | None = getattr(slo, "last_state", None)
    unit = 1 if reading.events is not None else _SECOND
    return Standing(
        slo=slo,
        at=at,
        starts_at=start,
        ends_at=end,
        state=state_of(found, State(last) if last else None),
        sli=found.sli,
        coverage=found.coverage,
        budget=found.allowed / unit,
        bad=found.bad / unit,
        total=found.total / unit,
        remaining_share=found.remaining_share,
        burn_rates=rates,
        per_day=None if daily is None else daily / ((end - start) / timedelta(days=1)),
        exhausted_at=None if left is None else at + left,
        is_sufficient=found.is_sufficient,
        reading=reading,
        burns=burns,
    )


@dataclass(frozen=True, slots=True)
class Curve:
    """How a budget was spent over its window: what was left of it at each moment, as a share."""

    start: datetime
    end: datetime
    at: list[datetime]
    remaining: list[float | None]


def curve(found: Standing, *, points: int = 120) -> Curve:
    """Return how the budget of the present window was spent.

    It ends where the objective stands now: the budget is that of the whole window, and what was bad
    is counted from its beginning on. Before there was any history the share is None.
    """
    start, stop = found.starts_at, found.at
    step = (stop - start) / points
    edges = [start + step * number for number in range(1, points)] + [stop]
    events = found.reading.events
    spent, shares, before = 0.0, list[float | None](), start
    for edge in edges:
        burn = burn_of(found.slo, found.reading, before, edge) if events is not None else None
        if burn is None:
            amounts = found.reading.timeline.between(micros(start), micros(edge))
            spent = amounts.judged(Unknown(found.slo.unknown_policy))[1] / _SECOND
            is_known = amounts.absent < micros(edge) - micros(start)
        else:
            spent += burn.bad
            is_known = bool(spent or burn.good or (shares and shares[-1] is not None))
        is_told = is_known and found.budget > 0
        shares.append((found.budget - spent) / found.budget if is_told else None)
        before = edge
    return Curve(start, stop, edges, shares)


def snapshots(slo_id: int) -> QuerySet[SLOSnapshot]:
    """Return where an objective stood, newest first."""
    return SLOSnapshot.objects.filter(slo=slo_id).order_by("-at", "-pk")


def began_at(found: Standing) -> datetime | None:
    """Return since when there is history within the window; None without any."""
    amounts = found.reading.timeline
    for stretch in amounts.line:
        if amounts.between(stretch.start, stretch.end).absent == 0:
            return max(moment(stretch.start), found.starts_at)
    return None
