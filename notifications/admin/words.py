"""Words of the console for states and reasons, and the links between its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from core.components import badge
from notifications.engine.targets import shown_address
from notifications.models import Notification

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from django.http import HttpRequest

    from notifications.models import Event

_State = Notification.State
_Reason = Notification.Reason

WHY: Final[dict[str, str]] = {
    _Reason.FIRST: "It is the first message of its thread.",
    _Reason.NEW_ALERTS: "More alerts joined the thread.",
    _Reason.UPDATE: "An alert of the thread has news.",
    _Reason.NEW_RESOLVED: "Some alerts of the thread are over, others still hold.",
    _Reason.ALL_RESOLVED: "Every alert of the thread is over.",
    _Reason.REPEAT: "It still holds, and its route says to tell again.",
    _Reason.STORM: "Many alerts came at once; one message stands for all of them.",
    _Reason.ESCALATION: "Nobody has acknowledged, so the escalation took its next step.",
    _Reason.ACK_EXPIRED: "Somebody acknowledged, yet it was not over in time.",
    _Reason.ACKNOWLEDGED: "Somebody takes care, so nobody else needs to.",
    _Reason.DIGEST: "It gathers what was held back in quiet hours.",
    _Reason.FALLBACK: "Another channel could not deliver it in time.",
    _Reason.RESEND: "Somebody sent it once more by hand.",
    _Reason.TEST: "Somebody asked for a test.",
}
"""Why a message was made."""

FOR_NOBODY: Final = (
    "There was nobody to send it to. Mend what is told here, then set it aside; "
    "it cannot be sent later."
)
"""How a message stands that no channel has lost."""

STANDS: Final[dict[str, str]] = {
    _State.HELD: "It waits for the end of quiet hours.",
    _State.PENDING: "It is sent as soon as its channel takes it.",
    _State.SENT: "The receiver took it.",
    _State.DEAD: "It could not be delivered. Mend the channel, then try it again.",
    _State.SUPERSEDED: "A newer message of the thread says more, so this one was not sent.",
    _State.SUPPRESSED: "Nobody was told.",
    _State.CANCELLED: "Somebody took it back or set it aside, so it is not sent.",
}
"""How a message stands, and what to do where something is to be done."""


def stands(message: Notification) -> str:
    """Return how a message stands, and what to do where something is to be done."""
    if message.is_for_nobody:
        return FOR_NOBODY
    return STANDS[message.state]


def state_badge(message: Notification) -> str:
    """Return how a message stands, in short."""
    if message.is_for_nobody:
        return badge(message.state, "Reached nobody", tone="warn")
    short = "Held" if message.state == _State.HELD else ""
    return badge(message.state, short)


def severity_badge(severity: str, *, is_over: bool = False) -> str:
    """Return a severity; red is kept for what is wrong now."""
    return severity.capitalize() if is_over else badge(severity)


def standing_badge(event: Event) -> str:
    """Return whether an event says that something began or ended."""
    return badge(event.status)


def told_to(message: Notification) -> str:
    """Return whom a message is for and where it goes, its address masked."""
    address = shown_address(message.recipient)
    quiet = format_html(' <span class="quiet">{}</span>', address) if address else ""
    person = f"{message.user}, by " if message.user is not None else ""
    return format_html("{}{}{}", person, message.channel_name or "nobody", quiet)


def page_of(request: HttpRequest, noun: str, key: object, text: object) -> str:
    """Return a link to the page of a row, or the text alone for whoever may not see it."""
    if key is None:
        return str(text)
    if not request.user.has_perm(f"notifications.view_{noun}"):
        return format_html("{}", text)
    return format_html('<a href="{}">{}</a>', url_of(noun, key), text)


def url_of(noun: str, key: object) -> str:
    """Return where a row is looked at: on a page of its own, else in its form."""
    name = f"admin:notifications_{noun}"
    try:
        return reverse(f"{name}_page", args=[key])
    except NoReverseMatch:
        return reverse(f"{name}_change", args=[key])


def span(time: timedelta) -> str:
    """Return a length of time in its two largest units."""
    seconds = max(0, round(time.total_seconds()))
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for unit, size in units:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def joined(names: Sequence[str], *, most: int = 5) -> str:
    """Return names in one line, with how many are left out."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
