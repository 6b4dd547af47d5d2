"""Objectives as pages show them: states, shares, budgets and burn rates in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils.html import format_html

from core.adminlists import BoundedPaginator
from core.components import Column, Table, badge, table_of, when
from reliability.admin.contexts.shared import link
from reliability.engine.burn_rate import PAIRS
from reliability.engine.rules import SLO_FAST_BURN
from reliability.engine.slo import State
from reliability.selectors import burning, objectives
from reliability.selectors.bars import percent, span
from reliability.selectors.indicators import watched

if TYPE_CHECKING:
    from django.http import HttpRequest

    from reliability.models import SLO, Alert, Service
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
_LISTED: Final = 10


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
                Column("Reached", numeric=True, room="medium"),
                Column("Budget left", numeric=True),
                Column("Burn rate, 1 h", numeric=True, room="medium"),
                Column("Runs out", room="medium"),
            ],
            rows=[_row(standing) for standing in found],
            caption="Objectives",
            empty="No objective yet.",
        ),
        "may_add_objective": request.user.has_perm("reliability.add_slo"),
    }


def objective_context(request: HttpRequest, slo: SLO) -> dict[str, Any]:
    """Return what the page of an objective shows."""
    may = request.user.has_perm
    found = objectives.standing(slo)
    context: dict[str, Any] = {
        "standing": found,
        "badge": standing_badge(found),
        "promise": objectives.promise(slo),
        "left": left(found),
        "bar": budget_bar(found.remaining_share, found.state),
        "facts": _facts(request, found),
        "burns": _burns(found),
        "warning": too_coarse(found.reading.interval_seconds) if found.is_too_coarse else "",
        "edit_url": "",
        "run_url": "",
    }
    if may("reliability.change_slo"):
        context["edit_url"] = reverse("admin:reliability_slo_change", args=[slo.pk])
    if may("reliability.run_uptimetest") and watched.check_ids(slo):
        context["run_url"] = reverse("admin:reliability_slo_run", args=[slo.pk])
    if may("reliability.view_slosnapshot"):
        context["snapshots"] = _snapshots(request, found)
    if may("reliability.view_alert"):
        context["alerts"] = _alerts(request, slo)
    return context


def too_coarse(interval_seconds: float | None) -> str:
    """Return why the checks of an objective ask too rarely for it."""
    return (
        f"The interval is too coarse for this objective: the checks ask every "
        f"{interval_seconds or 0:.0f} s, and fewer than three lost probes in an hour would burn as "
        "fast as what raises an alert. Alerts wait for three; ask more often, or promise less."
    )


def off_badge() -> str:
    """Return the label of an objective that is switched off."""
    return badge("off", "Off", "unknown")


def _facts(request: HttpRequest, found: Standing) -> list[tuple[str, object]]:
    slo = found.slo
    checks = ", ".join(check.label for check in slo.checks.order_by("pk")[:_LISTED])
    threshold = f", within {slo.threshold_ms:,} ms" if slo.threshold_ms else ""
    return [
        ("Service", link(request, "service", slo.service_id, slo.service.name)),
        ("Indicator", f"{objectives.indicator_of(slo).title}{threshold}"),
        ("Promised", objectives.promise(slo)),
        ("Reached", reached(found)),
        ("Known", percent(found.coverage) if found.coverage is not None else "nothing"),
        ("Budget", amount(found, found.budget)),
        ("Counted so far", amount(found, found.total)),
        ("Spent", amount(found, found.bad)),
        ("Left", left(found)),
        ("Spent in a day", share(found.per_day)),
        ("Runs out", runs_out(found)),
        ("Window", format_html("{} to {}", when(found.starts_at), when(found.ends_at))),
        ("Checks", checks or _unnamed(slo)),
        ("Several checks", slo.get_combine_display()),
        ("Unknown time", slo.get_unknown_policy_display()),
        ("Gate", "Releases wait below 20 %" if slo.gate else "None"),
    ]


def _unnamed(slo: SLO) -> str:
    if slo.names_checks:
        return "none: those that it named were deleted; choose others when you change it"
    return "all of the service"


def _burns(found: Standing) -> Table:
    rows = []
    for pair in PAIRS:
        if not pair.fits(found.window):
            continue
        rates = [found.burn_rates[pair.long], found.burn_rates[pair.short]]
        limit = pair.threshold(found.window)
        is_over = all((rate or 0) >= limit for rate in rates)
        alert = "Wakes people" if pair.is_fast else "Same day"
        state = badge("ok", "Within")
        if is_over:
            why = burning.held_back(found.slo, found.reading, pair, at=found.at)
            state = badge("fast", "Too fast", "warn" if why else "bad")
            alert = f"Held back: {why}" if why else alert
        rows.append(
            [
                state,
                f"{pair.long} and {pair.short}",
                burn(rates[0]),
                burn(rates[1]),
                burn(limit),
                alert,
            ]
        )
    return Table(
        columns=[
            Column("State"),
            Column("Windows"),
            Column("Long", numeric=True),
            Column("Short", numeric=True),
            Column("Limit", numeric=True),
            Column("Alert"),
        ],
        rows=rows,
        caption="Burn rates",
    )


def _snapshots(request: HttpRequest, found: Standing) -> Table:
    return table_of(
        request,
        objectives.snapshots(found.slo.pk),
        [
            Column("Time"),
            Column("State"),
            Column("Reached", numeric=True),
            Column("Known", numeric=True),
            Column("Left", numeric=True),
            Column("Burn rate, 1 h", numeric=True),
        ],
        lambda one: [
            when(one.at),
            state_badge(one.state),
            percent(one.sli),
            percent(one.coverage),
            share(one.remaining_share),
            burn(one.burn_rates.get("1h")),
        ],
        caption="Snapshots",
        name="snapshots_",
        per_page=_LISTED,
        empty="None yet. One is stored each quarter of an hour.",
        paginator=BoundedPaginator,
    )


def _alerts(request: HttpRequest, slo: SLO) -> Table:
    newest = slo.alerts.select_related("incident").order_by("-pk")[:_LISTED]
    may_open = request.user.has_perm("reliability.view_incident")
    return Table(
        columns=[Column("State"), Column("Alert"), Column("Began"), Column("Ended")],
        rows=[
            [
                badge(alert.state),
                _alert_link(alert) if may_open else alert.title,
                when(alert.starts_at),
                when(alert.ends_at),
            ]
            for alert in newest
        ],
        caption="Alerts",
        empty="No alert so far.",
    )


def _alert_link(alert: Alert) -> str:
    if alert.incident_id is None:
        return alert.title
    page = reverse("admin:reliability_incident_change", args=[alert.incident_id])
    return format_html('<a href="{}">{}</a>', page, alert.title)


def standing_badge(found: Standing) -> str:
    """Return the label of the worse of the two: what is left of a budget, or how it burns."""
    if not found.slo.enabled:
        return off_badge()
    if found.burning == SLO_FAST_BURN.name and found.state != State.EXHAUSTED:
        return badge("burning", "Burns fast", "bad")
    if found.burning and found.state not in {State.EXHAUSTED, State.AT_RISK}:
        return badge("burning", "Burns", "warn")
    return state_badge(found.state)


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
    return f"{value:.1f}".removesuffix(".0") + "\u00d7" if value else "0"


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
        standing_badge(found),
        _named(found.slo),
        reached(found),
        format_html("{} {}", budget_bar(found.remaining_share, found.state), left(found)),
        burn(found.burn_rates["1h"]),
        runs_out(found),
    ]


def _named(slo: SLO) -> str:
    page = reverse("admin:reliability_slo_page", args=[slo.pk])
    return format_html('<a href="{}">{}</a>: {}', page, slo.name, objectives.promise(slo))


def runs_out(found: Standing) -> str:
    """Return when nothing is left at the rate of the last hour."""
    if found.state == State.EXHAUSTED:
        return "Spent"
    return when(found.exhausted_at, none="Not at this rate")
