"""Send a test through a channel and return what the receiver's side answers."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import record
from core.drill import refuse_in_drill
from core.errors import InvalidTransitionError, NotFoundError, UnavailableError
from core.keyring import KeyringError
from notifications.engine.base import Message, Outcome, Verdict, idempotency_key
from notifications.engine.targets import shown_address
from notifications.models import Channel, Event, Notification
from notifications.selectors.targets import recipients_of
from notifications.services import results, senders
from notifications.services.claims import LEASE_SECONDS, Claim, later
from notifications.services.dispatch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from core.actors import Actor
    from notifications.services.results import Result
    from notifications.services.senders import Sender

# Each may take a minute, and a person waits.
MOST_CHANNELS: Final = 3
LIFETIME: Final = timedelta(minutes=10)
NOT_SENT: Final = "Not sent: the test before it failed."
TITLE: Final = "Test of this channel"
_ASKED_FOR: Final = "You asked for this test on your page of notifications. Nothing is wrong."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a test to one recipient; `seconds` is how long it took."""

    notification_id: int
    recipient: str
    outcome: Outcome
    seconds: float

    @property
    def delivered(self) -> bool:
        """Tell whether the receiver's side took the message."""
        return self.outcome.verdict is Verdict.DELIVERED


def send_test(
    *, actor: Actor, channel_id: UUID, recipient: str = "", user_id: UUID | None = None
) -> list[Answer]:
    """Send a test through a channel, even a disabled one, and wait for the answers.

    With a `recipient` it goes to this one address, which is that of the person `user_id`.

    A test is a message like any other, kept with its attempt, but not tried again. The first one
    without an answer ends it: the person waits, and the next would fare alike. A success ends the
    channel's pause. A copy for a drill sends nothing: raises NotConfiguredError. Raises
    UnavailableError while the keyring cannot be read, and InvalidTransitionError if the channel has
    nobody to send to.
    """
    refuse_in_drill()
    claim = _begin(actor, channel_id, recipient, user_id)
    ended = asyncio.run(_send_all(claim, senders.prepare(claim.channel)))
    results.finish(claim=claim, results=ended)
    Notification.objects.held_by(claim.token).update(
        state=Notification.State.CANCELLED,
        lease_until=None,
        lease_token=None,
        attempts=0,
        last_error=NOT_SENT,
    )
    return [_answer(result) for result in ended]


@audited
def _begin(actor: Actor, channel_id: UUID, recipient: str, user_id: UUID | None) -> Claim:
    deadline = time.monotonic() + LEASE_SECONDS
    channel = Channel.objects.filter(pk=channel_id).first()
    if channel is None:
        message = "There is no such channel."
        raise NotFoundError(message)
    record(actor=actor, action="channel.tested", target=channel)
    token = uuid.uuid4()
    # Leased at birth: no dispatcher may take what this process is about to send.
    people = (recipient,) if recipient else _recipients(channel)
    messages = [_message(channel, person, actor, token, user_id) for person in people]
    Notification.objects.bulk_create(messages)
    Notification.objects.held_by(token).update(lease_until=later(LEASE_SECONDS))
    return Claim(channel=channel, token=token, deadline=deadline, messages=tuple(messages))


def _recipients(channel: Channel) -> tuple[str, ...]:
    try:
        found = recipients_of(channel)
    except KeyringError:
        message = "The keyring cannot be read, and with it this channel's settings; repair it."
        raise UnavailableError(message) from None
    if not found:
        message = (
            "This channel has no recipients of its own: it reaches people by their addresses. "
            "Send yourself a test on your page of notifications."
        )
        raise InvalidTransitionError(message)
    return found


def _message(
    channel: Channel, recipient: str, actor: Actor, token: UUID, user_id: UUID | None
) -> Notification:
    now = timezone.now()
    thread = f"test:{token}"
    snapshot = Message(
        kind="channel.test",
        severity=Event.Severity.INFO,
        status=Event.Status.INFO,
        title=TITLE,
        body=(
            f"{actor.name} has sent this from the console. Nothing is wrong."
            if user_id is None
            else _ASKED_FOR
        ),
        service="",
        labels={},
        links={"Console": settings.BASE_URL},
        dedup_key=thread,
        seq=0,
        occurred_at=now.isoformat(),
        reason=Notification.Reason.TEST,
    )
    return Notification(
        channel=channel,
        channel_name=channel.name,
        recipient=recipient,
        user_id=user_id,
        thread_key=thread,
        seq=0,
        severity=Event.Severity.INFO,
        priority=Notification.Priority.INFO,
        reason=Notification.Reason.TEST,
        title=TITLE,
        payload=snapshot.to_payload(),
        idempotency_key=idempotency_key(thread, recipient),
        expires_at=now + LIFETIME,
        lease_token=token,
        lease_until=now + timedelta(seconds=LEASE_SECONDS),
        attempts=1,
    )


async def _send_all(claim: Claim, open_sender: Callable[[], Sender]) -> list[Result]:
    sender = open_sender()
    batch = Batch(claim, sender)

    async def send(message: Notification) -> Result | None:
        result = await batch.send(message)
        if result is not None and result.outcome.verdict is Verdict.RETRY:
            batch.stopped = True
        return result

    try:
        ended = await asyncio.gather(*map(send, claim.messages))
    finally:
        await sender.close()
    return [result for result in ended if result is not None]


def _answer(result: Result) -> Answer:
    return Answer(
        notification_id=result.message.pk,
        recipient=shown_address(result.message.recipient),
        outcome=result.outcome,
        seconds=(result.ended_at - result.started_at).total_seconds(),
    )
