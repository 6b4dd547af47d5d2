"""Objectives as pages show them: states, shares, budgets and burn rates in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from core.components import Column, Table, badge, when
from reliability.engine.slo import State
from reliability.selectors import objectives
from reliability.selectors.bars import percent, span

if TYPE_CHECKING:
    from django.http import HttpRequest

    from reliability.models import SLO, Service
    from reliability.selectors.objectives import Standing

TONES: Final[dict[str, str]] = {
    State.OK: "ok",
    State.WATCH: "info",
    State.AT_RISK: "warn",
    State.EXHAUSTED: "bad",
    State.INSUFFICIENT: "unknown",
}
WORDS: Final[dict[str, str]] = {
    State.OK: "OK",
    State.WATCH: "Watch",
    State.AT_RISK: "At risk",
    State.EXHAUSTED: "Exhausted",
    State.INSUFFICIENT: "Too little data",
}
_SECOND: Final = 1_000_000
_MOST_SHOWN: Final = 999


def objectives_of(request: HttpRequest, service: Service) -> dict[str, Any]:
    """Return what the page of a service shows of its objectives; nothing to whoever may not."""
    if not request.user.has_perm("reliability.view_slo"):
        return {}
    found = objectives.of_service(service.pk)
    return {
        "objectives": Table(
            columns=[
                Column("State"),
                Column("Objective"),
                Column("Reached", numeric=True),
                Column("Budget left", numeric=True),
                Column("Burn rate, 1 h", numeric=True),
                Column("Runs out"),
            ],
            rows=[_row(standing) for standing in found],
            caption="Objectives",
            empty="No objective yet.",
        ),
        "may_add_objective": request.user.has_perm("reliability.add_slo"),
    }


def state_badge(state: str) -> str:
    """Return the label of a state."""
    return badge(state, WORDS[state], TONES[state])


def reached(found: Standing) -> str:
    """Return what was reached; with too little known it says so."""
    return percent(found.sli) if found.is_sufficient else "too little data"


def left(found: Standing) -> str:
    """Return how much of the budget is left, in percent; less than none is told as it is."""
    return share(found.remaining_share) if found.is_sufficient else "-"


def share(value: float | None) -> str:
    """Return a signed share in whole percent."""
    if value is None:
        return "-"
    shown = round(value * 100)
    return f"-{_MOST_SHOWN} % or less" if shown < -_MOST_SHOWN else f"{shown} %"


def amount(found: Standing, value: float) -> str:
    """Return an amount of a budget: events, or a duration."""
    if found.counts_events:
        return f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:.2f}"
    return span(round(value * _SECOND)) if value else "none"


def burn(value: float | None) -> str:
    """Return a burn rate."""
    if value is None:
        return "-"
    return f"{value:.1f} x" if value else "0"


def budget_bar(remaining: float | None, state: str) -> str:
    """Return what is left of a budget as a bar; the number stands beside it."""
    if remaining is None or state == State.INSUFFICIENT:
        return ""
    return format_html(
        '<svg class="budget" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="all" width="100" height="8"/><rect class="{}" width="{}" height="8"/></svg>',
        TONES[state],
        f"{min(max(remaining, 0), 1) * 100:.1f}",
    )


def _row(found: Standing) -> list[object]:
    return [
        state_badge(found.state),
        _named(found.slo),
        reached(found),
        format_html("{} {}", budget_bar(found.remaining_share, found.state), left(found)),
        burn(found.burn_rates["1h"]),
        runs_out(found),
    ]


def _named(slo: SLO) -> str:
    try:
        page = reverse("admin:reliability_slo_page", args=[slo.pk])
    except NoReverseMatch:
        return f"{slo.name}: {objectives.promise(slo)}"
    return format_html('<a href="{}">{}</a>: {}', page, slo.name, objectives.promise(slo))


def runs_out(found: Standing) -> str:
    """Return when nothing is left at the rate of the last hour."""
    if found.state == State.EXHAUSTED:
        return "Spent"
    return when(found.exhausted_at, none="Not at this rate")
