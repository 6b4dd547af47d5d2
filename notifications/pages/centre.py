"""The notification centre: what a person was told, what of it is new, and where it leads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.text import capfirst

from core.components import Tab
from core.pagebase import page, render
from core.rest.permissions import SIGNED_IN
from notifications.engine import places
from notifications.engine.audiences import (
    ALERTS,
    ASKED,
    MESSAGE,
    allowed_topics,
    audiences_of,
    of_user,
)
from notifications.models import Event, Notification
from notifications.selectors.inbox import (
    ALERT_KINDS,
    KINDS,
    Wanted,
    inbox,
    inbox_audiences,
    unread_of,
)
from notifications.services.live import mark_read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse, QueryDict

    from accounts.models import User
    from notifications.selectors.feeds import Position
    from notifications.selectors.inbox import Inbox, Line

ROUTE: Final = "notification-centre"
_KIND_TABS: Final = {"": "All", "message": "To you", "alert": "Alerts", "job.finished": "Jobs"}
_MOST_COUNTED: Final = 99
_REASONS: Final = {str(value): str(label) for value, label in Notification.Reason.choices}
_SAID_ALREADY: Final = {
    Notification.Reason.FIRST,
    Notification.Reason.ALL_RESOLVED,
    Notification.Reason.ACKNOWLEDGED,
}
_TONES: Final = {"critical": "bad", "warning": "warn", "info": "info"}


@dataclass(frozen=True)
class Shown:
    """One entry as the page shows it."""

    title: str
    href: str
    word: str
    tone: str
    service: str
    why: str
    thread: str
    at: datetime
    is_unread: bool


@page(GET=SIGNED_IN)
def centre(request: HttpRequest) -> HttpResponse:
    """Show what the person was told, newest first."""
    person = cast("User", request.user)
    wanted = _wanted(request.GET)
    audiences = _audiences(person)
    found = inbox(
        audiences,
        person.pk,
        wanted,
        before=places.read(request.GET.get("before", ""), of_user(person.pk)),
        after=places.read(request.GET.get("after", ""), of_user(person.pk)),
    )
    sees_threads = person.has_perm("notifications.view_group") and person.is_staff
    context = {
        "title": "Notification centre",
        "lines": [_shown(line, sees_threads=sees_threads) for line in found.lines],
        "unread": _counted(found.unread),
        "upto": places.written({name: place.seq for name, place in found.places.items()}),
        "here": request.get_full_path(),
        "kinds": _tabs(request.GET, found, wanted, has_alerts=ALERTS in audiences),
        "severities": _severities(request.GET, wanted),
        "unread_link": _link(request.GET, {"unread": "" if wanted.is_unread else "1"}),
        "wanted": wanted,
        "is_filtered": wanted != Wanted(),
        "older": found.older and _link(request.GET, {"before": places.written(found.older)}),
        "newer": found.newer and _link(request.GET, {"after": places.written(found.newer)}),
        "preferences": _preferences(),
    }
    return render(request, "notifications/centre.html", context)


@page(POST=SIGNED_IN, back=ROUTE)
def read(request: HttpRequest) -> HttpResponse:
    """Note that everything was looked at, up to what the page has shown."""
    person = cast("User", request.user)
    upto = places.read(request.POST.get("upto", ""), of_user(person.pk)) or {}
    for audience in _audiences(person):
        if audience in upto:
            mark_read(user_id=person.pk, audience=audience, seq=upto[audience])
    messages.success(request, "Everything up to here counts as read.")
    back = request.POST.get("next", "")
    # One's own address, or the centre: a form of another page leads nowhere else.
    is_ours = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return HttpResponseRedirect(back if is_ours else reverse(ROUTE))


def _audiences(person: User) -> list[str]:
    granted = frozenset(name for name in ASKED if person.has_perm(name))
    return inbox_audiences(audiences_of(allowed_topics(granted), person.pk), person.pk)


def _wanted(query: QueryDict) -> Wanted:
    kind, severity = query.get("kind", ""), query.get("severity", "")
    return Wanted(
        kind=kind if kind in KINDS else "",
        severity=severity if severity in Event.Severity.values else "",
        is_unread=query.get("unread") == "1",
    )


def _shown(line: Line, *, sees_threads: bool) -> Shown:
    data = line.entry.data
    kind = line.entry.kind
    url = str(data.get("url") or "")
    if kind == "job.finished":
        word, tone = ("Done", "ok") if data.get("ok") else ("Failed", "bad")
    elif data.get("status") in {Event.Status.RESOLVED, "acknowledged"}:
        is_over = data["status"] == Event.Status.RESOLVED
        word, tone = capfirst(str(data["status"])), "ok" if is_over else "warn"
    else:
        word, tone = capfirst(line.severity or "news"), _TONES.get(line.severity, "unknown")
    return Shown(
        title=str(data.get("title") or "Without a title"),
        href=url if url_has_allowed_host_and_scheme(url, allowed_hosts=None) else "",
        word=word,
        tone=tone,
        service=str(data.get("service") or ""),
        why="" if kind in ALERT_KINDS else _why(data),
        thread=_thread(data.get("group")) if sees_threads else "",
        at=line.entry.at,
        is_unread=line.is_unread,
    )


def _why(data: Mapping[str, object]) -> str:
    """Return why this came to the very person."""
    if "ok" in data:
        return "You asked for it"
    reason = str(data.get("reason") or "")
    # That it is an alert, or over, stands in its badge.
    label = "" if reason in _SAID_ALREADY else _REASONS.get(reason, "")
    return ": ".join(filter(None, ("Sent to you", str(data.get("text") or label))))


def _thread(group: object) -> str:
    if not isinstance(group, int):
        return ""
    try:
        return reverse("admin:notifications_group_change", args=[group])
    except NoReverseMatch:
        return ""


def _tabs(query: QueryDict, found: Inbox, wanted: Wanted, *, has_alerts: bool) -> list[Tab]:
    counts: dict[str, int] = {"": found.unread}
    if has_alerts:
        counts["alert"] = unread_of(_only(found.places, alerts=True))
    return [
        Tab(
            label,
            _link(query, {"kind": kind}),
            is_current=wanted.kind == kind,
            count=min(counts[kind], _MOST_COUNTED) if counts.get(kind) else None,
        )
        for kind, label in _KIND_TABS.items()
        if kind not in {"alert", MESSAGE} or has_alerts
    ]


def _only(places: Mapping[str, Position], *, alerts: bool) -> dict[str, Position]:
    return {name: place for name, place in places.items() if (name == ALERTS) is alerts}


def _severities(query: QueryDict, wanted: Wanted) -> list[Tab]:
    choices = [("", "Any severity"), *Event.Severity.choices]
    return [
        Tab(str(label), _link(query, {"severity": str(value)}), wanted.severity == value)
        for value, label in choices
    ]


def _link(query: QueryDict, changes: Mapping[str, str]) -> str:
    """Return the address with some filters changed; pages begin anew."""
    kept = {name: query[name] for name in ("kind", "severity", "unread") if query.get(name)}
    told = {name: value for name, value in {**kept, **changes}.items() if value}
    return f"?{urlencode(told)}"


def _counted(count: int) -> str:
    return f"{_MOST_COUNTED}+" if count > _MOST_COUNTED else str(count or "")


def _preferences() -> str:
    try:
        return reverse("account-notifications")
    except NoReverseMatch:
        return ""
