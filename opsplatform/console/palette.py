"""What the command palette finds: pages, commands and objects that the person may open.

A command never changes anything by itself: it leads to the page, or to the form, that does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.db.models import Case, IntegerField, Q, Value, When
from django.http import HttpResponse, JsonResponse
from django.urls import NoReverseMatch, reverse

from notifications.engine.kinds import KINDS as CHANNEL_KINDS
from notifications.models import Channel, Route, Silence
from notifications.models import Group as Thread
from reliability.models import Check, Incident, Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.models import Model, QuerySet
    from django.http import HttpRequest

    from opsplatform.console.navigation import Group

LONGEST_QUERY: Final = 80
PER_KIND: Final = 6


@dataclass(frozen=True)
class Command:
    """Something that can be done now; `act` names what the page itself does."""

    title: str
    route: str = ""
    act: str = ""
    needs: tuple[str, ...] = ()
    """The permissions of the act, and of the page that offers it."""
    query: str = ""
    """What the page is asked for."""
    words: str = ""
    """What else people call it."""


@dataclass(frozen=True)
class Kind:
    """Objects of one model: who may find them, and the column that is searched."""

    name: str
    rows: QuerySet[Any]
    column: str
    detail: str
    """The column whose value stands beside the title."""
    also: str = ""
    """A second column that is searched."""


COMMANDS: Final[Sequence[Command]] = (
    Command("Add a service", "admin:reliability_service_add", needs=("reliability.add_service",)),
    Command("Add a check", "admin:reliability_check_add", needs=("reliability.add_check",)),
    Command(
        "Run an uptime test",
        "admin:reliability_uptimetest_run",
        needs=("reliability.run_uptimetest",),
    ),
    Command(
        "Add a channel",
        "admin:notifications_channel_add",
        needs=("notifications.add_channel",),
        words=" ".join(kind.title for kind in CHANNEL_KINDS.values()),
    ),
    Command(
        "Silence alerts", "admin:notifications_silence_add", needs=("notifications.add_silence",)
    ),
    Command("Add a route", "admin:notifications_route_add", needs=("notifications.add_route",)),
    Command(
        "What would happen to an alert",
        "admin:notifications_route_try",
        needs=("notifications.view_route",),
    ),
    Command(
        "Dead letters",
        "admin:notifications_notification_changelist",
        needs=("notifications.view_notification",),
        query="dead=lost",
    ),
    Command("Add a user", "admin:accounts_user_add", needs=("accounts.add_user",)),
    Command(
        "Acknowledge a thread",
        "admin:notifications_group_changelist",
        needs=("notifications.acknowledge_group", "notifications.view_group"),
        query="stands=waiting",
    ),
    Command("Your account", "account"),
    Command("Your second factors", "account-mfa"),
    Command("Your sessions", "account-sessions"),
    Command("Your API keys", "account-keys"),
    Command("Change password", "account-password"),
    Command("Switch theme", act="theme"),
    Command("Sign out", act="sign-out"),
)
KINDS: Final[Sequence[Kind]] = (
    Kind("Service", Service.objects.all(), "name", "environment"),
    Kind("Incident", Incident.objects.order_by("-id"), "title", "state"),
    Kind("Check", Check.objects.all(), "name", "service__name"),
    Kind("Thread", Thread.objects.filter(closed_at=None).order_by("-id"), "title", "route_name"),
    Kind("Route", Route.objects.all(), "name", "position"),
    Kind("Silence", Silence.objects.order_by("-id"), "comment", "author"),
    Kind("Channel", Channel.objects.all(), "name", "kind", also="kind"),
    Kind("User", get_user_model().objects.all(), "username", "email"),
)


def answer(request: HttpRequest, groups: Iterable[Group]) -> HttpResponse:
    """Return up to PER_KIND results of each kind; a beginning comes before a part."""
    query = request.GET.get("q", "").strip()[:LONGEST_QUERY]
    results = [
        *_pages(query, groups),
        *_commands(query, request),
        *(found for kind in KINDS if query for found in _objects(query, kind, request)),
    ]
    return JsonResponse({"query": query, "results": _ranked(query, results)})


def _pages(query: str, groups: Iterable[Group]) -> list[dict[str, str]]:
    return [
        {"kind": "Page", "title": item.title, "detail": group.title, "url": item.href}
        for group in groups
        for item in group.items
        if query.casefold() in item.title.casefold()
    ]


def _commands(query: str, request: HttpRequest) -> list[dict[str, str]]:
    return [
        {
            "kind": "Command",
            "title": command.title,
            "detail": "",
            "url": _address(command),
            "act": command.act,
        }
        for command in COMMANDS
        if query.casefold() in f"{command.title} {command.words}".casefold()
        and request.user.has_perms(command.needs)
    ]


def _address(command: Command) -> str:
    if not command.route:
        return ""
    page = reverse(command.route)
    return f"{page}?{command.query}" if command.query else page


def _objects(query: str, kind: Kind, request: HttpRequest) -> list[dict[str, str]]:
    label = kind.rows.model._meta
    if not request.user.has_perm(f"{label.app_label}.view_{label.model_name}"):
        return []
    rank = Case(
        When(**{f"{kind.column}__istartswith": query}, then=Value(0)),
        default=Value(1),
        output_field=IntegerField(),
    )
    wanted = Q(**{f"{kind.column}__icontains": query})
    if kind.also:
        wanted |= Q(**{f"{kind.also}__icontains": query})
    newest_or_name = kind.rows.query.order_by or (kind.column,)
    found = (
        kind.rows.filter(wanted)
        .order_by(rank, *newest_or_name)
        .values_list("pk", kind.column, kind.detail)[:PER_KIND]
    )
    return [
        {
            "kind": kind.name,
            "title": str(title),
            "detail": str(detail or ""),
            "url": _page_of(kind.rows.model, key),
        }
        for key, title, detail in found
    ]


def _page_of(model: type[Model], key: object) -> str:
    """Return where an object is looked at: on a page of its own, else in its form."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    try:
        return reverse(f"{name}_page", args=[key])
    except NoReverseMatch:
        return reverse(f"{name}_change", args=[key])


def _ranked(query: str, results: list[dict[str, str]]) -> list[dict[str, str]]:
    """Put the titles that begin with the query first, then words that do, then the rest."""
    wanted = query.casefold()

    def rank(result: dict[str, str]) -> int:
        title = result["title"].casefold()
        if title.startswith(wanted):
            return 0
        return 1 if any(word.startswith(wanted) for word in title.split()) else 2

    # The order of kinds stays among equals, since sorting is stable.
    return sorted(results, key=rank)
