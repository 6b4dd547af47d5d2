"""The dashboard: what it shows, each part only to whom may see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse

from core.adminlists import told_count
from core.components import Tone
from core.drill import is_drill
from notifications.models import Notification
from opsplatform.console import attention, telling
from opsplatform.console.things import Problem, Step
from reliability.engine.strikes import State
from reliability.models import SLO, Incident, UptimeTest
from reliability.selectors import bars, history, incidents, latency
from reliability.selectors.overview import Overview, overview

if TYPE_CHECKING:
    from django.http import HttpRequest

    from accounts.models import User
    from core.charts import StatusBar
    from reliability.engine.history import History
    from reliability.selectors.overview import ServiceNow

_DAY: Final = timedelta(hours=24)
_BARS: Final = 48
_SERVICES_SHOWN: Final = 40
_INCIDENTS_SHOWN: Final = 6
_MESSAGES_SHOWN: Final = 6
_MOST_COUNTED: Final = 1000

_WRONG: Final = (State.DOWN, State.RECOVERING)


@dataclass(frozen=True)
class Card:
    """One figure with its question."""

    title: str
    value: str
    context: str
    tone: Tone
    href: str = ""


@dataclass(frozen=True)
class ServiceRow:
    """A service as the dashboard lists it."""

    now: ServiceNow
    href: str
    bar: StatusBar | None
    """None for whoever may not see histories."""
    availability: str
    age: str


def context(request: HttpRequest) -> dict[str, Any]:
    """Return what the dashboard's template needs; a part that is absent may not be seen."""
    user: User = request.user  # type: ignore[assignment]  # the site lets nobody else in
    shown: dict[str, Any] = {}
    problems: list[Problem] = []
    cards: list[Card] = []
    if is_drill():
        problems.append(attention.DRILL)
    if user.has_perm("reliability.view_service"):
        found = overview(most=_SERVICES_SHOWN)
        shown |= _services(found, user)
        problems += _down(found, user)
        cards.append(_services_card(found))
    if user.has_perm("reliability.view_incident"):
        card, listed = _incidents()
        cards.append(card)
        shown |= listed
    if user.has_perm("reliability.view_slo"):
        cards.append(_objectives_card())
    if user.has_perm("reliability.view_sample"):
        cards.append(_latency_card())
        shown["may_see_latency"] = True
    if user.has_perm("notifications.view_notification"):
        problems += telling.held_back()
        card, messages = _messages()
        cards.append(card)
        shown["messages_sent"] = messages
    if user.has_perm("observability.view_health"):
        health = attention.health()
        problems += health
        cards.append(_platform_card(health))
    if user.has_perm("reliability.view_uptimetest"):
        shown["may_see_tests"] = True
        shown["test"] = _newest_test()
    things = attention.things(user)
    steps = attention.first_steps(user)
    return {
        **shown,
        "problems": sorted(problems, key=lambda problem: problem.tone is not Tone.BAD),
        "cards": cards,
        "attention": things,
        # Without a service of its own the platform is empty: then the steps are the page.
        "first_steps": steps if steps and not steps[0].is_done else [],
        "next_steps": steps if steps and steps[0].is_done and not _all_done(steps) else [],
        "roles": ", ".join(user.groups.order_by("name").values_list("name", flat=True)),
        "sees_nothing": not (shown or cards or steps) and things is None,
    }


def _newest_test() -> UptimeTest | None:
    # Its results may be megabytes; the sums and the first failures are enough here.
    tests = UptimeTest.objects.defer("check_ids", "results")
    return tests.order_by("-created_at").first()


def _all_done(steps: list[Step]) -> bool:
    return all(step.is_done for step in steps)


def _services(found: Overview, user: User) -> dict[str, Any]:
    lines: dict[int, History] = {}
    if sees_history := user.has_perm("reliability.view_statesegment"):
        keys = [service.pk for service in found.worst]
        lines = history.of_services(keys, window=_DAY, buckets=_BARS)
    rows = [
        ServiceRow(
            now=service,
            href=reverse("admin:reliability_service_page", args=[service.pk]),
            bar=bars.bar_of(lines[service.pk], "24h", small=True) if sees_history else None,
            availability=bars.availability(lines[service.pk].total) if sees_history else "",
            age=bars.age(service.since) if service.since else "",
        )
        for service in found.worst
    ]
    return {
        "services": rows,
        "sees_history": sees_history,
        "service_count": found.total,
        "more_services": found.total - len(rows),
        "counts": [(state.value, count) for state, count in found.counts.items() if count],
    }


def _services_card(found: Overview) -> Card:
    href = reverse("admin:reliability_service_changelist")
    good = found.counts[State.UP]
    parts = [
        f"{count:,} {state.value}"
        for state, count in found.counts.items()
        if count and state is not State.UP
    ]
    tone = Tone.OK if found.total and not parts else Tone.WARN
    if any(found.counts[state] for state in _WRONG):
        tone = Tone.BAD
    elif not found.total or found.counts[State.UNKNOWN] + good == found.total > good:
        tone = Tone.UNKNOWN
    value = f"{good:,} of {found.total:,}" if found.total else "None yet"
    return Card("Services up", value, ", ".join(parts) or "every one", tone, href)


def _down(found: Overview, user: User) -> list[Problem]:
    count = sum(found.counts[state] for state in _WRONG)
    if not count:
        return []
    named = [service for service in found.worst if service.state in _WRONG]
    names = ", ".join(service.name for service in named[:3])
    more = f" and {count - 3:,} more" if count > 3 else ""  # noqa: PLR2004  # as many as are named
    if count == 1:
        page = reverse("admin:reliability_service_page", args=[named[0].pk])
        return [Problem(Tone.BAD, f"{names} is down", "", page, "Open the service")]
    page, action = reverse("admin:reliability_service_changelist") + "?found=down", "Open services"
    if user.has_perm("reliability.view_incident"):
        page, action = reverse("admin:reliability_incident_changelist"), "Open incidents"
    return [Problem(Tone.BAD, f"{count:,} services are down", f"{names}{more}", page, action)]


def _incidents() -> tuple[Card, dict[str, Any]]:
    rows = incidents.open_incidents().order_by("-id")
    count = rows.count()
    waiting = rows.filter(state=Incident.State.TRIGGERED).count() if count else 0
    page = reverse("admin:reliability_incident_changelist")
    told = f"{waiting:,} not acknowledged" if waiting else "all acknowledged"
    card = Card(
        "Open incidents",
        f"{count:,}",
        told if count else "nothing is wrong",
        Tone.BAD if waiting else Tone.WARN if count else Tone.OK,
        page,
    )
    shown = rows.select_related("owner").defer("excerpt")[:_INCIDENTS_SHOWN]
    return card, {"incidents": list(shown), "more_incidents": max(0, count - _INCIDENTS_SHOWN)}


def _objectives_card() -> Card:
    count = SLO.objects.filter(enabled=True).count()
    burning = incidents.budget_alerts().count()
    told = (
        f"{burning:,} budget alert{'s' if burning != 1 else ''}" if burning else "no budget burns"
    )
    tone = Tone.BAD if burning else Tone.OK if count else Tone.UNKNOWN
    page = reverse("admin:reliability_slo_changelist")
    return Card("Objectives", f"{count:,}" if count else "None yet", told, tone, page)


def _latency_card() -> Card:
    value = latency.p95_now()
    shown = "No data" if value is None else f"{value:,.0f} ms"
    tone = Tone.UNKNOWN if value is None else Tone.INFO
    return Card("Latency, p95", shown, "all checks, last minutes", tone)


def _messages() -> tuple[Card, list[Notification]]:
    found = Notification.objects
    pending, dead = (rows[:_MOST_COUNTED].count() for rows in (found.pending(), found.lost()))
    page = reverse("admin:notifications_notification_changelist")
    card = Card(
        "Messages waiting",
        told_count(pending, _MOST_COUNTED),
        f"{dead:,} could not be delivered" if dead else "none was lost",
        Tone.WARN if dead else Tone.OK,
        page,
    )
    newest = Notification.objects.only("title", "state", "channel_name", "created_at", "reason")
    return card, list(newest.order_by("-id")[:_MESSAGES_SHOWN])


def _platform_card(problems: list[Problem]) -> Card:
    if not problems:
        return Card("Platform", "Ready", "every part answers", Tone.OK)
    is_bad = any(problem.tone is Tone.BAD for problem in problems)
    names = ", ".join(problem.title.partition(":")[0].lower() for problem in problems)
    return Card(
        "Platform",
        "Not ready" if is_bad else "Degraded",
        names,
        Tone.BAD if is_bad else Tone.WARN,
    )
