"""What the page of one message shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html

from core.components import Column, Table, badge, when
from notifications.admin.words import (
    WHY,
    page_of,
    severity_badge,
    span,
    stands,
    state_badge,
    told_to,
    url_of,
)
from notifications.engine.base import ACKNOWLEDGE, Message
from notifications.engine.targets import shown_address
from notifications.engine.wording import headline, is_web
from notifications.models import Notification

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet
    from django.http import HttpRequest

    from notifications.models import DeliveryAttempt

RESEND: Final = "notifications.resend_notification"
SHOWN: Final = 50
_HEADLINE_CHARACTERS: Final = 400
_State = Notification.State
ACTS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "retry": ("Try again", frozenset({_State.DEAD})),
    "resend": ("Send once more", frozenset({_State.SENT})),
    "cancel": ("Cancel", frozenset({_State.PENDING, _State.HELD})),
    "set-aside": ("Set aside", frozenset({_State.DEAD})),
}
"""What may be done with a message, and how it must stand for that."""
_WITHOUT_CHANNEL: Final = frozenset({"cancel", "set-aside"})


def message_context(request: HttpRequest, message: Notification) -> dict[str, Any]:
    """Return what the page of a message shows."""
    said = Message.from_payload(message.payload)
    attempts = message.history.order_by("-number")[:SHOWN]
    may_act = request.user.has_perm(RESEND)
    return {
        "title": message.title,
        "state": state_badge(message),
        "severity": severity_badge(message.severity, is_over=said.status == "resolved"),
        "receiver": told_to(message),
        "stands": stands(message),
        "acts": [
            (name, words, reverse(f"admin:notifications_notification_{name}", args=[message.pk]))
            for name, (words, states) in ACTS.items()
            if may_act
            and message.state in states
            and (name in _WITHOUT_CHANNEL or message.channel_id)
        ],
        "headline": headline(said, limit=_HEADLINE_CHARACTERS),
        "said": said,
        "links": [
            (name, url if is_web(url) else "")
            for name, url in said.links.items()
            if name != ACKNOWLEDGE
        ],
        "told_alerts": _alerts(said),
        "attempts": _attempts(attempts),
        "as_sent": json.dumps(message.payload, indent=2, ensure_ascii=False, sort_keys=True),
        "facts": list(_facts(request, message, said)),
    }


def messages_table(
    request: HttpRequest,
    found: QuerySet[Notification] | Iterable[Notification],
    *,
    caption: str = "Messages",
    empty: str = "No message.",
) -> Table:
    """Return messages as a table; `found` is bounded by the caller."""
    return Table(
        columns=[
            Column("State"),
            Column("Why"),
            Column("To"),
            Column("Made"),
            Column("Tries", numeric=True, room="medium"),
            Column("Error", room="wide"),
        ],
        rows=[
            [
                state_badge(message),
                page_of(request, "notification", message.pk, message.get_reason_display()),
                told_to(message),
                when(message.created_at),
                message.attempts,
                message.last_error or "-",
            ]
            for message in found
        ],
        caption=caption,
        empty=empty,
    )


def _attempts(found: Iterable[DeliveryAttempt]) -> Table:
    return Table(
        columns=[
            Column("No", numeric=True),
            Column("Outcome"),
            Column("Began"),
            Column("Took", numeric=True, room="medium"),
            Column("Answer"),
        ],
        rows=[
            [
                attempt.number,
                badge(attempt.outcome, attempt.get_outcome_display()),
                when(attempt.started_at),
                _took(attempt),
                _answer(attempt),
            ]
            for attempt in found
        ],
        caption="Attempts",
        empty="Nobody has tried to send it.",
    )


def _took(attempt: DeliveryAttempt) -> str:
    if attempt.ended_at is None:
        return "-"
    return f"{(attempt.ended_at - attempt.started_at).total_seconds():,.2f} s"


def _answer(attempt: DeliveryAttempt) -> str:
    code = f"{attempt.status_code} " if attempt.status_code else ""
    wait = attempt.retry_after_seconds
    wish = f" It asked to wait {wait:,.0f} s." if wait else ""
    said = f"{code}{attempt.detail}{wish}".strip()
    if not attempt.excerpt:
        return said or "-"
    return format_html('{} <q class="quiet">{}</q>', said, attempt.excerpt)


def _alerts(said: Message) -> Table | None:
    """Return the alerts that a message tells of, where they are more than its headline."""
    if not said.alerts:
        return None
    left_out = said.firing + said.resolved - len(said.alerts)
    rows: list[list[object]] = [
        [
            badge(alert.get("status", "")),
            _titled(alert),
            severity_badge(alert.get("severity", ""), is_over=alert.get("status") == "resolved"),
            alert.get("service") or "-",
            when(parse_datetime(alert.get("since", "")) if alert.get("since") else None),
        ]
        for alert in said.alerts
    ]
    if left_out > 0:
        rows.append(["", f"and {left_out:,} more", "", "", ""])
    return Table(
        columns=[
            Column("Status"),
            Column("Alert"),
            Column("Severity", room="medium"),
            Column("Service", room="medium"),
            Column("Since", room="wide"),
        ],
        rows=rows,
        caption="Alerts that it tells of",
    )


def _titled(alert: dict[str, str] | Any) -> str:  # noqa: ANN401  # a mapping of texts
    url = alert.get("url", "")
    if not is_web(url):
        return str(alert.get("title", ""))
    return format_html('<a href="{}" rel="noopener noreferrer">{}</a>', url, alert.get("title", ""))


def _facts(
    request: HttpRequest, message: Notification, said: Message
) -> Iterable[tuple[str, object]]:
    yield "Why", f"{message.get_reason_display()}. {WHY[message.reason]}"
    yield "Channel", page_of(request, "channel", message.channel_id, message.channel_name or "none")
    yield "Recipient", shown_address(message.recipient) or "-"
    if message.user is not None:
        yield "For", message.user.get_username()
    if said.service:
        yield "Service", said.service
    if message.group is not None:
        yield "Thread", page_of(request, "group", message.group_id, message.group.title)
    if message.event is not None:
        yield "Event", page_of(request, "event", message.event_id, message.event.title)
    yield "Made", when(message.created_at)
    if message.state in {_State.PENDING, _State.HELD}:
        yield "Next try", when(message.next_at)
        yield "Given up", when(message.expires_at)
    if message.lease_until is not None:
        yield "Held by a sender until", when(message.lease_until)
    if message.sent_at is not None:
        yield "Sent", when(message.sent_at)
        yield "After", span(message.sent_at - message.created_at)
    yield "Tries", message.attempts
    if message.uncertain:
        yield "May be a repeat", "An attempt ended without an answer, so it may have arrived twice."
    if message.original_id is not None:
        yield "Repeats", page_of(request, "notification", message.original_id, "the message before")
    for repeat in message.resends.only("pk").order_by("pk")[:SHOWN]:
        yield "Sent again", page_of(request, "notification", repeat.pk, f"as {repeat.pk}")
    if message.superseded_by_id is not None:
        url = url_of("notification", message.superseded_by_id)
        yield "Replaced by", format_html('<a href="{}">a newer message</a>', url)
    yield "Key", format_html("<code>{}</code>", message.idempotency_key)
    yield "Place in its thread", message.seq
    if message.provider_ref:
        yield "Receipt of the receiver", message.provider_ref
