"""What the page of one event shows: what was raised, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils.html import format_html, format_html_join

from core.components import badge, when
from notifications.admin.contexts.messages import messages_table
from notifications.admin.words import page_of, severity_badge, span, standing_badge
from notifications.engine.wording import is_web
from notifications.models import Event, Group, Notification, Silence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.http import HttpRequest

_SHOWN: Final = 50


def event_context(request: HttpRequest, event: Event) -> dict[str, Any]:
    """Return what the page of an event shows."""
    may = request.user.has_perm
    messages = _messages(event)
    shown: dict[str, Any] = {
        "title": event.title,
        "status": standing_badge(event),
        "severity": severity_badge(event.severity, is_over=event.status == Event.Status.RESOLVED),
        "became": list(_became(request, event)),
        "outcome": OUTCOMES[event.routing],
        "causes": _causes(messages),
        "tone": TONES[event.routing],
        "links": [(name, url if is_web(url) else "") for name, url in event.links.items()],
        "facts": list(_facts(event)),
        "silence_url": "",
        "try_url": "",
        "channels_url": "",
    }
    if may("notifications.view_notification"):
        shown["messages_made"] = messages_table(
            request, messages, empty="No message was made of it."
        )
    if may("notifications.add_silence"):
        shown["silence_url"] = f"{reverse('admin:notifications_silence_add')}?event={event.pk}"
    if may("notifications.view_route"):
        shown["try_url"] = f"{reverse('admin:notifications_route_try')}?event={event.pk}"
    if event.routing == Event.Routing.NO_CHANNEL and may("notifications.view_channel"):
        shown["channels_url"] = reverse("admin:notifications_channel_changelist")
    return shown


OUTCOMES: Final[dict[str, str]] = {
    Event.Routing.WAITING: "It waits for the router, which looks for alerts every second.",
    Event.Routing.ROUTED: "It was handed to the routes that match it.",
    Event.Routing.SUPPRESSED: "Nobody was told, on purpose.",
    Event.Routing.NO_CHANNEL: "Nobody could be told.",
}
"""What became of an event, in a sentence."""

TONES: Final[dict[str, str]] = {
    Event.Routing.WAITING: "info",
    Event.Routing.ROUTED: "ok",
    Event.Routing.SUPPRESSED: "unknown",
    Event.Routing.NO_CHANNEL: "bad",
}
"""How the panel of an outcome is coloured."""


def _became(request: HttpRequest, event: Event) -> Iterator[str]:
    """Return what was decided, a line for each decision."""
    if event.suppressed_by:
        yield format_html("It was raised as suppressed: {}.", event.suppressed_by)
    decided = [entry for entry in event.decided or [] if isinstance(entry, dict)]
    threads = Group.objects.in_bulk([entry["group"] for entry in decided if entry.get("group")])
    silences = Silence.objects.in_bulk(
        [entry["silence"] for entry in decided if entry.get("silence")]
    )
    for entry in decided:
        if silence := silences.get(entry.get("silence")):
            name = page_of(request, "silence", silence.pk, silence.comment)
            yield format_html("Silence {} by {} kept it from people.", name, silence.author)
        elif thread := threads.get(entry.get("group")):
            name = page_of(request, "group", thread.pk, thread.title)
            route = page_of(request, "route", thread.route_id, entry.get("route", ""))
            yield format_html("Route {} put it into the thread {}.", route, name)
        elif entry.get("route"):
            yield format_html("Route {} matched it; its thread is gone.", entry["route"])


def _messages(event: Event) -> list[Notification]:
    """Return the messages that tell of an event, the newest first."""
    groups = [
        entry["group"]
        for entry in event.decided or []
        if isinstance(entry, dict) and entry.get("group")
    ]
    rows = Notification.objects.select_related("user").defer("payload").order_by("-id")
    found = {message.pk: message for message in rows.filter(event=event)[:_SHOWN]}
    if groups and event.routed_at is not None:
        later = rows.filter(group__in=groups, created_at__gte=event.routed_at)
        found |= {message.pk: message for message in later[:_SHOWN]}
    return [found[key] for key in sorted(found, reverse=True)][:_SHOWN]


def _causes(messages: Iterable[Notification]) -> list[str]:
    """Return why messages that were for nobody could not be for anybody, each cause once."""
    dead = Notification.State.DEAD
    told = [m.last_error for m in messages if m.channel_id is None and m.state == dead]
    return list(dict.fromkeys(filter(None, told)))


def _facts(event: Event) -> Iterator[tuple[str, object]]:
    yield "Kind", event.kind
    yield "Service", event.service or "-"
    if event.labels:
        yield (
            "Labels",
            format_html_join(
                format_html("<br>"), "{}: {}", ((name, text) for name, text in event.labels.items())
            ),
        )
    yield "Raised", when(event.created_at)
    yield "Raised by", event.raised_by
    if event.routed_at is not None:
        yield "Decided", when(event.routed_at)
        yield "After", span(event.routed_at - event.created_at)
    yield "Key of the alert", format_html("<code>{}</code>", event.dedup_key)
    yield "Number of the change", event.transition_seq


def told_badge(event: Event) -> str:
    """Return what became of an event, in short."""
    words = {
        Event.Routing.WAITING: "Not yet",
        Event.Routing.ROUTED: "Told",
        Event.Routing.SUPPRESSED: "Suppressed",
        Event.Routing.NO_CHANNEL: "Nobody",
    }
    return badge(event.routing or "pending", words[Event.Routing(event.routing)])
