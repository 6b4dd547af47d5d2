"""What the page of an incident shows of what people were told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.html import format_html

from core.components import Column, Table, badge, when
from notifications.engine.targets import shown_address
from notifications.selectors.threads import story_of
from reliability.services.timeline import outbox_key

if TYPE_CHECKING:
    from django.http import HttpRequest

    from notifications.models import Group, Notification
    from reliability.models import Incident


def told_context(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    """Return the threads and messages of an incident, for whoever may see messages."""
    if not request.user.has_perm("notifications.view_notification"):
        return {}
    story = story_of([outbox_key(incident)])
    return {
        "threads": [
            (_page("group", thread.pk), thread, _stands(thread)) for thread in story.threads
        ]
        if request.user.has_perm("notifications.view_group")
        else [],
        "told": Table(
            columns=[
                Column("State"),
                Column("Message"),
                Column("To"),
                Column("Made"),
                Column("Error", room="wide"),
            ],
            rows=[
                [
                    badge(message.state, "Held" if message.state == "held" else ""),
                    format_html(
                        '<a href="{}">{}</a>',
                        _page("notification", message.pk),
                        message.get_reason_display(),
                    ),
                    _receiver(message),
                    when(message.created_at),
                    message.last_error or "-",
                ]
                for message in story.messages
            ],
            caption="Messages about it",
            empty=story.untold,
        ),
    }


def _stands(thread: Group) -> str:
    if not thread.is_open:
        return badge("closed", "Over")
    return badge("acknowledged") if thread.acked_at is not None else badge("firing", "Open")


def _receiver(message: Notification) -> str:
    address = shown_address(message.recipient)
    quiet = format_html(' <span class="quiet">{}</span>', address) if address else ""
    person = f"{message.user}, by " if message.user is not None else ""
    return format_html("{}{}{}", person, message.channel_name or "nobody", quiet)


def _page(noun: str, key: int) -> str:
    return reverse(f"admin:notifications_{noun}_change", args=[key])
