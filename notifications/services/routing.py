"""From events to messages: whom to tell, decided from rows, after the alert has committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from core import leases
from core.crypto import UnsealError
from core.drill import is_drill
from notifications.engine.audiences import ALERTS
from notifications.engine.base import Message, idempotency_key
from notifications.models import Channel, Event, Notification
from notifications.models.notifications import LIFETIME
from notifications.services import live
from notifications.services.live import News

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from core.leases import Held

BATCH: Final = 200
RECIPIENT_CHARACTERS: Final = 320
NO_CHANNEL: Final = "No channel is enabled: nobody could be told."

_PRIORITIES: Final = {
    Event.Severity.CRITICAL: Notification.Priority.CRITICAL,
    Event.Severity.WARNING: Notification.Priority.WARNING,
    Event.Severity.INFO: Notification.Priority.INFO,
}


def route(held: Held) -> int:
    """Turn unrouted events into messages until none is left; return how many were routed.

    Only the holder of the lease writes: were two routers at work, a later event of a thread could
    become a message before an earlier one and overtake it. A drill copy routes nothing. Raises
    KeyringError while the keyring cannot be read: nothing could leave, so alerts wait unrouted.
    """
    if is_drill():
        return 0
    routed = 0
    # Looked for without a transaction: an idle router writes nothing.
    while _unrouted().exists():
        routed += _route_batch(held)
    return routed


@transaction.atomic
def _route_batch(held: Held) -> int:
    leases.fence(held)
    # By id: the row lock of its source orders the ids of one thread.
    events = list(_unrouted().order_by("id")[:BATCH])
    everybody = _default_route()
    messages: list[Notification] = []
    outcomes: dict[Event.Routing, list[int]] = {}
    news: list[News] = []
    for event in events:
        outcome = _decide(event, everybody)
        outcomes.setdefault(outcome, []).append(event.pk)
        if outcome is not Event.Routing.SUPPRESSED:
            # The console is told also when nobody else could be.
            news.append(_news(event))
        if outcome is Event.Routing.ROUTED:
            messages += [_message(event, channel, person) for channel, person in everybody]
        else:
            messages.append(_unsent(event, outcome))
    # A key that exists already must not stop the queue behind it.
    Notification.objects.bulk_create(messages, ignore_conflicts=True)
    for outcome, ids in outcomes.items():
        Event.objects.filter(pk__in=ids).update(routed_at=Now(), routing=outcome)
    # Last, so that the lock on the feed is held for the shortest time.
    live.append(news)
    return len(events)


def _unrouted() -> QuerySet[Event]:
    return Event.objects.filter(routed_at__isnull=True)


def _default_route() -> list[tuple[Channel, str]]:
    """Return every enabled channel with each of its recipients."""
    channels = Channel.objects.filter(enabled=True)
    return [(channel, person) for channel in channels for person in recipients_of(channel)]


def recipients_of(channel: Channel) -> tuple[str, ...]:
    """Return the addresses of a mail channel; a webhook has one receiver without a name.

    Raises KeyringError if the keyring cannot be read at all, which concerns every channel.
    """
    if channel.kind != Channel.Kind.EMAIL:
        return ("",)
    try:
        return tuple(channel.config["recipients"])
    except UnsealError:
        # These settings alone are lost. Their message must exist: its dispatch tells that.
        return ("",)


def _decide(event: Event, everybody: list[tuple[Channel, str]]) -> Event.Routing:
    if event.suppressed_by:
        return Event.Routing.SUPPRESSED
    return Event.Routing.ROUTED if everybody else Event.Routing.NO_CHANNEL


def _news(event: Event) -> News:
    """Return what the console is told: no body, which may quote what a checked address answers."""
    url = event.links.get("incident") or next(iter(event.links.values()), "")
    data = {
        "title": event.title,
        "severity": event.severity,
        "status": event.status,
        "service": event.service,
        # As a path, the link works under every name of the platform.
        "url": url.removeprefix(settings.BASE_URL.rstrip("/")),
    }
    return News(ALERTS, "alert", data)


def _message(event: Event, channel: Channel, recipient: str) -> Notification:
    message = _blank(event, str(channel.pk), recipient)
    message.channel = channel
    message.channel_name = channel.name
    # Addresses of a variable come as they are written; a longer one must not stop the queue.
    message.recipient = recipient[:RECIPIENT_CHARACTERS]
    return message


def _unsent(event: Event, outcome: Event.Routing) -> Notification:
    """Return the row that answers why nobody was told."""
    message = _blank(event, "", "")
    if outcome is Event.Routing.SUPPRESSED:
        message.state = Notification.State.SUPPRESSED
        message.last_error = f"Suppressed: {event.suppressed_by}"
    else:
        message.state = Notification.State.DEAD
        message.last_error = NO_CHANNEL
    return message


def _blank(event: Event, channel: str, recipient: str) -> Notification:
    reason = (
        Notification.Reason.ALL_RESOLVED
        if event.status == Event.Status.RESOLVED
        else Notification.Reason.FIRST
    )
    created_at = event.created_at.isoformat(timespec="microseconds")
    snapshot = Message(
        kind=event.kind,
        severity=event.severity,
        status=event.status,
        title=event.title,
        body=event.body,
        service=event.service,
        labels=event.labels,
        links=event.links,
        dedup_key=event.dedup_key,
        seq=event.transition_seq,
        occurred_at=created_at,
        reason=reason,
    )
    return Notification(
        event=event,
        thread_key=event.dedup_key,
        seq=event.transition_seq,
        severity=event.severity,
        priority=_PRIORITIES[Event.Severity(event.severity)],
        reason=reason,
        title=event.title,
        payload=snapshot.to_payload(),
        # With the time, an event of a restored database never passes for the one it replaces.
        idempotency_key=idempotency_key(
            event.dedup_key, event.transition_seq, created_at, channel, recipient
        ),
        next_at=Now(),
        expires_at=timezone.now() + LIFETIME,
    )
