"""What the pages of routes show: their order, one of them, and what would happen to an alert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from core.components import Column, Table, badge, when
from notifications.admin.contexts.threads import standing
from notifications.admin.matchers import in_words
from notifications.admin.words import joined, page_of, severity_badge
from notifications.models import Channel, Event, Route
from notifications.selectors import escalation, routing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest

    from notifications.selectors.routing import Plan, Told

_THREADS_SHOWN: Final = 10
CHANGE: Final = "notifications.change_route"


@dataclass(frozen=True, slots=True)
class Line:
    """A route as the list shows it."""

    route: Route
    page: str
    when: str
    then: str
    timing: str
    trouble: str
    up_url: str = ""
    down_url: str = ""


def routes_context(request: HttpRequest) -> dict[str, Any]:
    """Return the routes in the order in which they are asked."""
    may_change = request.user.has_perm(CHANGE)
    rows = list(
        Route.objects.order_by("is_default", "position", "pk")
        .select_related("chain")
        .prefetch_related("channels")
    )
    if not any(route.is_default for route in rows):
        rows.append(routing.unsaved_default())
    everybody = list(
        Channel.objects.filter(enabled=True, is_for_people=False)
        .order_by("name")
        .values_list("name", flat=True)
    )
    own = [route.pk for route in rows if not route.is_default]
    return {
        "lines": [
            Line(
                route=route,
                page=_page(route),
                when=alerts_of(route),
                then=_then(route, everybody),
                timing=_timing(route),
                trouble=_trouble(route),
                up_url=_move(route, "up") if may_change and route.pk in own[1:] else "",
                down_url=_move(route, "down") if may_change and route.pk in own[:-1] else "",
            )
            for route in rows
        ],
        "may_add": request.user.has_perm("notifications.add_route"),
        "try_url": reverse("admin:notifications_route_try"),
    }


def route_context(request: HttpRequest, route: Route) -> dict[str, Any]:
    """Return what the page of a route shows."""
    may = request.user.has_perm
    shown: dict[str, Any] = {
        "title": route.name,
        "when": alerts_of(route),
        "goes": "" if route.go_on or route.is_default else "The search ends here.",
        "edit_url": reverse("admin:notifications_route_change", args=[route.pk])
        if may(CHANGE)
        else "",
        "try_url": reverse("admin:notifications_route_try"),
        "facts": _facts(request, route),
        "steps": _steps(route),
    }
    if may("notifications.view_group"):
        threads = route.groups.order_by("-id")[:_THREADS_SHOWN]
        shown["threads"] = Table(
            columns=[
                Column("Stands"),
                Column("Thread"),
                Column("Severity", room="medium"),
                Column("Began"),
            ],
            rows=[
                [
                    standing(group, group.members.filter(status=Event.Status.FIRING).count()),
                    page_of(request, "group", group.pk, group.title),
                    severity_badge(group.severity, is_over=not group.is_open),
                    when(group.opened_at),
                ]
                for group in threads
            ],
            caption="Its newest threads",
            empty="No alert has taken this route yet.",
        )
    return shown


def plan_context(request: HttpRequest, plan: Plan) -> dict[str, Any]:
    """Return what would happen to an alert."""
    may_see = request.user.has_perm("notifications.view_silence")
    silence = plan.silence
    return {
        "silence": silence,
        "silence_name": page_of(request, "silence", silence.pk, silence.comment)
        if silence and may_see
        else "a silence",
        "verdicts": [
            (
                badge("taken", "Takes it", "ok")
                if tried.is_taken
                else badge("not", "Not this", "unknown"),
                page_of(request, "route", tried.route.pk, tried.route.name),
                tried.why,
                tried.is_taken and tried.route.go_on,
            )
            for tried in plan.tried
        ],
        "told": [_told(request, told) for told in plan.told],
        "nobody": not silence and not any(told.reached for told in plan.told),
    }


def alerts_of(route: Route) -> str:
    """Return in words which alerts a route is for."""
    if route.is_default:
        return "every alert that no route above has kept"
    return in_words(route.matchers)


def gathered(route: Route) -> str:
    """Return in words which alerts of a route share a thread."""
    if route.group_by == ["alert"]:
        return "each alert in a thread of its own"
    if not route.group_by:
        return "all of its alerts in one thread"
    return f"alerts with the same {joined([_named(name) for name in route.group_by])}"


def _named(name: str) -> str:
    return f"label {name.removeprefix('label.')}" if name.startswith("label.") else name


def _told(request: HttpRequest, told: Told) -> dict[str, Any]:
    values = [f"{_named(name)} {value or 'none'}" for name, value in told.shared.items()]
    is_alone = told.route.group_by == ["alert"]
    wait = round((told.first_at - timezone.now()).total_seconds())
    return {
        "route": page_of(request, "route", told.route.pk, told.route.name),
        "thread": "a thread of its own"
        if is_alone
        else f"the thread of {joined(values)}"
        if values
        else "the one thread of this route",
        "first": "at once" if wait < 1 else f"after {escalation.duration(wait)}",
        "repeat": _repeat(told.route),
        "reached": Table(
            columns=[Column("Channel"), Column("To"), Column("When")],
            rows=[
                [
                    page_of(request, "channel", one.channel.pk, one.channel.name),
                    one.person or one.recipient or one.channel.target or "-",
                    format_html("held until {}", when(one.quiet_until))
                    if one.quiet_until
                    else "at once"
                    if wait < 1
                    else f"after {escalation.duration(wait)}",
                ]
                for one in told.reached
            ],
            caption=f"Whom {told.route.name} tells",
        ),
        "steps": told.steps,
        "trouble": told.trouble,
    }


def _page(route: Route) -> str:
    return reverse("admin:notifications_route_page", args=[route.pk]) if route.pk else ""


def _move(route: Route, way: str) -> str:
    return reverse(f"admin:notifications_route_{way}", args=[route.pk])


def _channels(route: Route) -> list[Channel]:
    return sorted(route.channels.all(), key=lambda channel: channel.name) if route.pk else []


def _then(route: Route, everybody: Sequence[str]) -> str:
    own = [channel.name for channel in _channels(route)]
    told = joined(own)
    if not own:
        told = (
            f"every channel ({joined(everybody)})" if route.is_default and everybody else "nobody"
        )
    chain = f", then escalate by {route.chain.name}" if route.chain else ""
    return f"Tell {told}{chain}."


def _trouble(route: Route) -> str:
    if not route.enabled:
        return ""
    return routing.trouble_of(route, _channels(route))


def _timing(route: Route) -> str:
    wait = (
        f"the first message after {escalation.duration(route.group_wait_seconds)}"
        if route.group_wait_seconds
        else "the first message at once"
    )
    return f"{gathered(route).capitalize()}; {wait}; {_repeat(route)}."


def _repeat(route: Route) -> str:
    if not route.repeat_seconds:
        return "never told again"
    return f"told again every {escalation.duration(route.repeat_seconds)} while it holds"


def _steps(route: Route) -> list[str]:
    if route.chain is None:
        return []
    return escalation.in_words(escalation.snapshot(route.chain), repeats=route.chain.repeats)


def _facts(request: HttpRequest, route: Route) -> list[tuple[str, object]]:
    channels = _channels(route)
    listed = (
        format_html(
            "{}" + "<br>{}" * (len(channels) - 1),
            *(
                page_of(
                    request,
                    "channel",
                    channel.pk,
                    channel.name if channel.enabled else f"{channel.name} (switched off)",
                )
                for channel in channels
            ),
        )
        if channels
        else ("every one that is switched on" if route.is_default else "none")
    )
    chain = (
        page_of(request, "escalationchain", route.chain_id, route.chain) if route.chain else "none"
    )
    return [
        ("State", badge("working", "On") if route.enabled else badge("off", "Off")),
        ("Channels", listed),
        ("Escalation", chain),
        ("Threads", gathered(route).capitalize()),
        (
            "First message",
            f"after {escalation.duration(route.group_wait_seconds)}; of critical ones at once",
        ),
        (
            "Next message",
            f"after {escalation.duration(route.group_interval_seconds)} at the earliest",
        ),
        ("While it holds", _repeat(route)),
        ("Afterwards", "the routes below are asked as well" if route.go_on else "the search ends"),
    ]
