"""The sidebar: one table of what there is, in the order in which people look for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst

from accounts.models import AccessReview
from notifications.models import Group as Thread
from notifications.models import Notification
from notifications.selectors import silenced
from reliability.models import Incident
from reliability.models.incidents import IS_OVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from django.http import HttpRequest

_MOST_COUNTED: Final = 99


@dataclass(frozen=True)
class Page:
    """Where an item leads: a list of the console by its model's label, or a named route."""

    title: str
    target: str
    waiting: Callable[[], int] | None = None
    """Counts what needs a person, at most to one more than is shown."""
    waits: str = ""
    """What is counted, for a reader who does not see the badge's place."""
    needs: str = ""
    """A permission without which nobody looks for it here, though everybody may open it."""


@dataclass(frozen=True)
class Item:
    """A link of the sidebar as one person sees it."""

    title: str
    href: str
    badge: str = ""
    badge_label: str = ""
    is_current: bool = False


@dataclass(frozen=True)
class Group:
    """Items under a heading."""

    title: str
    items: list[Item] = field(default_factory=list)


def _open_incidents() -> int:
    # Asked as the partial index of open incidents is declared.
    found = Incident.objects.exclude(IS_OVER)
    return found[: _MOST_COUNTED + 1].count()


def _dead_messages() -> int:
    found = Notification.objects.lost()
    return found[: _MOST_COUNTED + 1].count()


def _uncared_threads() -> int:
    found = Thread.objects.filter(closed_at__isnull=True, acked_at__isnull=True)
    # What a silence keeps from people asks nobody to take care.
    found = found.exclude(pk__in=silenced.threads())
    return found[: _MOST_COUNTED + 1].count()


def _open_reviews() -> int:
    return AccessReview.objects.filter(closed_at=None)[: _MOST_COUNTED + 1].count()


GROUPS: Final[Sequence[tuple[str, Sequence[Page]]]] = (
    ("Overview", (Page("Dashboard", "admin:index"),)),
    (
        "Reliability",
        (
            Page("Services", "reliability.service"),
            Page("Checks", "reliability.check"),
            Page("Heartbeats", "reliability.heartbeat"),
            Page("Objectives", "reliability.slo"),
            Page("Incidents", "reliability.incident", _open_incidents, "open"),
            Page("Alerts", "reliability.alert"),
            Page("Maintenance", "reliability.maintenancewindow"),
            Page("Changes", "reliability.change"),
            Page("Uptime tests", "reliability.uptimetest"),
            Page("Results", "reliability.sample"),
            Page("Reports of jobs", "reliability.heartbeatping"),
            Page("State history", "reliability.statesegment"),
            Page("Status page", "status", needs="reliability.view_service"),
        ),
    ),
    (
        "Access",
        (
            Page("Users", "accounts.user"),
            Page("Roles", "auth.group"),
            Page("Sessions", "accounts.usersession"),
            Page("API keys", "accounts.apikey"),
            Page("Access reviews", "accounts.accessreview", _open_reviews, "open"),
            Page("Audit log", "audit.auditrecord"),
        ),
    ),
    (
        "Notifications",
        (
            Page("Notification centre", "notification-centre"),
            Page("My notifications", "account-notifications"),
            Page("Queue", "notifications.notification", _dead_messages, "dead"),
            Page("Threads", "notifications.group", _uncared_threads, "not acknowledged"),
            Page("Silences", "notifications.silence"),
            Page("Routes", "notifications.route"),
            Page("Escalation", "notifications.escalationchain"),
            Page("On call", "notifications.oncallschedule"),
            Page("Channels", "notifications.channel"),
            Page("Events", "notifications.event"),
        ),
    ),
    (
        "Operate",
        (
            Page("Schedule", "django_celery_beat.periodictask"),
            Page("Crontabs", "django_celery_beat.crontabschedule"),
            Page("Intervals", "django_celery_beat.intervalschedule"),
            Page("Fixed times", "django_celery_beat.clockedschedule"),
        ),
    ),
    (
        "Keys and limits",
        (
            Page("Dashboard keys", "accounts.denieddashkey"),
            Page("Console access", "accounts.installation"),
            Page("Signing keys", "accounts.signingkey"),
            Page("Revocations", "accounts.accesschange"),
        ),
    ),
    (
        "System",
        (
            Page("Processes", "core.process"),
            Page("Live connections", "live-connections", needs="observability.view_health"),
            Page("Leases", "core.lease"),
            Page("API", "api-docs"),
        ),
    ),
)
"""What exists now; a list that stands nowhere here appears under the last group."""


def groups(
    request: HttpRequest, app_list: Iterable[dict[str, Any]], *, counted: bool = True
) -> list[Group]:
    """Return what this person may open; `app_list` is the site's, which knows permissions.

    Whoever shows no badges need not have them counted.
    """
    lists = {
        model["model"]._meta.label_lower: (capfirst(str(model["name"])), model["admin_url"])
        for app in app_list
        for model in app["models"]
        if model["admin_url"]
    }
    shown = []
    for title, pages in GROUPS:
        wanted = (page for page in pages if not page.needs or request.user.has_perm(page.needs))
        items = [item for page in wanted if (item := _item(page, lists, counted=counted))]
        shown.append(Group(title, items))
    shown[-1].items.extend(Item(title, href) for title, href in lists.values())
    return _marked([group for group in shown if group.items], request.path)


def here(shown: Iterable[Group]) -> tuple[str, Item] | None:
    """Return the item that this page belongs to, with the title of its group."""
    return next(
        ((group.title, item) for group in shown for item in group.items if item.is_current), None
    )


def _item(page: Page, lists: dict[str, tuple[str, str]], *, counted: bool) -> Item | None:
    """Build the item and take its list out of those that are left over."""
    if "." in page.target:
        listed = lists.pop(page.target, None)
        if listed is None:
            return None
        href = listed[1]
    else:
        try:
            href = reverse(page.target)
        except NoReverseMatch:
            return None
    count = page.waiting() if counted and page.waiting is not None else 0
    badge = f"{_MOST_COUNTED}+" if count > _MOST_COUNTED else str(count or "")
    return Item(page.title, href, badge, page.waits)


def _marked(shown: list[Group], path: str) -> list[Group]:
    """Mark the item whose page this is, or that this page lies under."""
    home = reverse("admin:index")
    hrefs = [item.href for group in shown for item in group.items]
    under = [href for href in hrefs if path.startswith(href) and href != home]
    current = max(under, key=len, default=home if path == home else "")
    return [
        Group(
            group.title,
            [replace(item, is_current=item.href == current) for item in group.items],
        )
        for group in shown
    ]
