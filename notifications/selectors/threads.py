"""Threads and messages of alerts, for the pages of what stands above them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from notifications.models import Event, Group, GroupMember, Notification
from notifications.selectors import routing

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Story:
    """What people were told of some alerts."""

    threads: Sequence[Group]
    messages: Sequence[Notification]
    untold: str
    """Why nobody was told, where that is so."""


def story_of(dedup_keys: Collection[str]) -> Story:
    """Return the threads of these alerts and their messages, the newest first of each."""
    members = GroupMember.objects.filter(dedup_key__in=dedup_keys)
    found = Group.objects.filter(pk__in=members.values("group"))
    threads = list(found.order_by("-id")[:SHOWN])
    rows = Notification.objects.select_related("user").defer("payload").order_by("-id")
    messages = {
        message.pk: message
        for message in [
            *rows.filter(group__in=[thread.pk for thread in threads])[:SHOWN],
            # What was suppressed, or raised before there were threads, belongs to none.
            *rows.filter(event__dedup_key__in=dedup_keys)[:SHOWN],
        ]
    }
    newest = [messages[key] for key in sorted(messages, reverse=True)][:SHOWN]
    return Story(threads, newest, "" if newest else _untold(dedup_keys))


def _untold(dedup_keys: Collection[str]) -> str:
    event = Event.objects.filter(dedup_key__in=dedup_keys).order_by("-id").first()
    if event is None:
        return "No alert was raised for it."
    if event.suppressed_by:
        return f"It was suppressed: {event.suppressed_by}."
    if event.routing == Event.Routing.WAITING:
        return "Its alert waits for the router."
    silence = routing.read_book(event.created_at).silence_of(routing.facts_of(event))
    if silence is not None:
        return f"A silence by {silence.author} keeps it back: {silence.comment}"
    return "Its messages are not due yet."
