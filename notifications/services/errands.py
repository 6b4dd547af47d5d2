"""From a row of the outbox to an errand: message, way, and the link that acknowledges it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.conf import settings

from notifications.engine.base import ACKNOWLEDGE, Message, Outcome, Verdict
from notifications.engine.errands import Errand
from notifications.engine.kinds import KINDS
from notifications.models import Channel, Event, Notification
from notifications.services import links
from notifications.services.configs import takes_people

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_DONE: Final = {Notification.Reason.ACKNOWLEDGED.value, Notification.Reason.TEST.value}


def told(row: Notification) -> Message:
    """Return what a row says; one for a person has a link that acknowledges in that person's name.

    Only a message to an address of that person's own has it: whoever reads it may use it. The link
    is made now and stored nowhere. That of a message for many, which leads to the console, stands
    among its links already.
    """
    message = Message.from_payload(row.payload)
    if row.user_id is None or not row.recipient:
        return message
    if message.status != Event.Status.FIRING or row.reason in _DONE:
        return message
    key = _group_key(message.thread)
    if key is None:
        return message
    url = links.acknowledge_url(key, row.user_id, row.pk or 0, row.created_at)
    return replace(message, links={**message.links, ACKNOWLEDGE: url})


def errand(channel: Channel, config: Mapping[str, Any], row: Notification) -> Errand:
    """Return the errand of a row through its channel."""
    return Errand(
        message=told(row),
        key=row.idempotency_key,
        config=config,
        recipient=row.recipient,
        template=channel.template,
        base=base_of(channel.kind, config),
        uncertain=row.uncertain,
        timeout_seconds=channel.timeout_seconds,
    )


def refusal_of(channel: Channel, config: Mapping[str, Any], row: Notification) -> Outcome | None:
    """Return why a row cannot leave through its channel; None if it can.

    What is meant for one person must never reach the place that many read.
    """
    known = KINDS[channel.kind]
    if not row.recipient or takes_people(known, config):
        return None
    detail = (
        f"This channel of {known.title} reaches no single persons any more; "
        "choose another way under “My notifications”."
    )
    return Outcome(verdict=Verdict.REFUSED, error_class="address", detail=detail, local=True)


def base_of(kind: str, config: Mapping[str, Any]) -> str:
    """Return where a provider's interface is that is the same for everybody."""
    if kind == Channel.Kind.PAGERDUTY:
        return str(settings.PAGERDUTY_API[config.get("region") or "us"])
    bases = {
        Channel.Kind.SLACK.value: settings.SLACK_API,
        Channel.Kind.TELEGRAM.value: settings.TELEGRAM_API_URL,
    }
    return str(bases.get(kind, "")).rstrip("/")


def _group_key(thread: str) -> UUID | None:
    try:
        return UUID(thread)
    except ValueError:
        return None
