"""Claims on the outbox: who sends which rows, and what came of it.

A claim is a lease with a token. A dispatcher that dies loses it after a minute and another one
sends again under the same key; one that was only paused finds that its token holds nothing.
"""

from __future__ import annotations

import math
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import connection, transaction
from django.db.models import (
    Case,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Concat, Left, Now

from notifications.engine import buckets, kinds
from notifications.models import Channel, DeliveryAttempt, DispatchHold, Notification
from notifications.services import fallback

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.db.models.expressions import Combinable

    from notifications.models.notifications import NotificationQuerySet

LEASE_SECONDS: Final = 60
PAUSE_SECONDS: Final = 60
EXPIRY_BATCH: Final = 500
ERROR_CHARACTERS: Final = 300
# What a dispatcher reads of a row; the others would only cost time.
_NEEDED: Final = (
    "attempts",
    "created_at",
    "expires_at",
    "group",
    "idempotency_key",
    "lease_token",
    "lease_until",
    "payload",
    "reason",
    "recipient",
    "severity",
    "title",
    "uncertain",
    "user",
    "wait_seconds",
)
EXPIRED: Final = "Not delivered in time. "


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Rows of one channel that this process may send until the deadline.

    The deadline is on the monotonic clock and was read before the database granted the lease, so
    it errs on the safe side.
    """

    channel: Channel
    token: UUID
    deadline: float
    messages: tuple[Notification, ...]

    def seconds_left(self) -> float:
        """Return how long the rows are still ours."""
        return self.deadline - time.monotonic()


def channels_due() -> list[UUID]:
    """Return the channels with something to send that are neither disabled nor paused."""
    # One row is enough to know; a list of all that is due would be made anew each second. As a
    # value, and not as EXISTS, of which PostgreSQL makes a join that reads them all.
    due = Notification.objects.filter(channel=OuterRef("pk")).due().unblocked()
    channels = Channel.objects.alias(something=Subquery(due.order_by().values("pk")[:1]))
    found = channels.filter(is_free(), something__isnull=False)
    return list(found.order_by("pk").values_list("pk", flat=True))


def claim(*, channel_id: UUID) -> Claim | None:
    """Take the next rows of a channel for this process; None if there is nothing to send.

    After failures in a row the channel is paused; then one message goes out on trial. Of a channel
    with a rate, no more are taken than its bucket holds.
    """
    deadline = time.monotonic() + LEASE_SECONDS
    token = uuid.uuid4()
    with transaction.atomic():
        channel = Channel.objects.filter(is_free(), pk=channel_id).first()
        if channel is None:
            return None
        tokens = _tokens(channel)
        trial = channel.open_until is not None
        limit = math.floor(min(1 if trial else _capacity(channel), tokens))
        # The channel before its rows, as everywhere: two orders would make a deadlock.
        if not limit or (trial and not _take_trial(channel)):
            return None
        rows = _next_rows(channel, limit=limit)
        if not rows:
            return None
        _lease(rows, token)
        if tokens != math.inf:
            left = tokens - len(rows)
            Channel.objects.filter(pk=channel.pk).update(tokens=left, tokens_at=Now())
    return Claim(channel=channel, token=token, deadline=deadline, messages=tuple(rows))


def give_back(*, claim: Claim, messages: Iterable[Notification]) -> None:
    """Return rows that were not sent, and their tokens; another claim may take them at once."""
    with transaction.atomic():
        if _rate(claim.channel) is not None:
            _locked_bucket(claim.channel)
        given = _held(claim, messages).update(
            lease_until=None, lease_token=None, attempts=F("attempts") - 1
        )
        if given and _rate(claim.channel) is not None:
            Channel.objects.filter(pk=claim.channel.pk).update(tokens=F("tokens") + given)


def hold_up(channel: Channel, *, seconds: float) -> None:
    """Let nothing of a channel leave for so long, because its receiver asked for that."""
    seconds = min(seconds, buckets.LONGEST_HOLD_SECONDS)
    Channel.objects.filter(pk=channel.pk).update(tokens=0.0, tokens_at=later(seconds))


def expire() -> int:
    """End what could not be delivered in its lifetime; return how many messages died.

    While messages are held back after a restore none dies: somebody decides about them first.
    """
    with transaction.atomic():
        if DispatchHold.objects.exists():
            return 0
        late = Notification.objects.pending().unleased().filter(expires_at__lte=Now())
        rows = list(_locked(late.order_by("pk")[:EXPIRY_BATCH]))
        _record_lost(rows)
        ids = [row.pk for row in rows]
        died = (
            Notification.objects.pending()
            .filter(pk__in=ids)
            .update(
                state=Notification.State.DEAD,
                lease_until=None,
                lease_token=None,
                last_error=Left(Concat(Value(EXPIRED), F("last_error")), ERROR_CHARACTERS),
            )
        )
        fallback.stand_in(ids)
        return died


def is_free(prefix: str = "") -> Q:
    """Return what makes a channel free to send: it is on, and neither paused nor held up.

    The prefix leads to the channel from another table.
    """

    def field(name: str, value: object) -> Q:
        return Q(**{f"{prefix}{name}": value})

    not_paused = field("open_until__isnull", value=True) | field("open_until__lte", Now())
    # An end further away than any hold was set before the clock stepped back.
    not_held_up = (
        field("tokens_at__isnull", value=True)
        | field("tokens_at__lte", Now())
        | field("tokens_at__gt", later(2 * buckets.LONGEST_HOLD_SECONDS))
    )
    is_released = ~Q(Exists(DispatchHold.objects.all()))
    return field("enabled", value=True) & not_paused & not_held_up & is_released


def later(seconds: float) -> Combinable:
    """Return a moment from now on the database's clock, which all dispatchers share."""
    moment = Now() + Value(timedelta(seconds=seconds))
    return ExpressionWrapper(moment, output_field=DateTimeField())


def _rate(channel: Channel) -> int | None:
    return kinds.rate_of(channel.kind, channel.rate_per_minute)


def _tokens(channel: Channel) -> float:
    """Return how many messages the channel's rate allows now; its row stays locked if it has one.

    The lock lets no two dispatchers spend the same tokens.
    """
    rate = _rate(channel)
    if rate is None:
        return math.inf
    tokens, seconds_since = _locked_bucket(channel)
    return buckets.available(rate_per_minute=rate, tokens=tokens, seconds_since=seconds_since)


def _locked_bucket(channel: Channel) -> tuple[float, float | None]:
    rows = Channel.objects.select_for_update(no_key=True).filter(pk=channel.pk)
    found = rows.values_list("tokens", "tokens_at", Now()).first()
    if found is None:
        # The channel has just been deleted, and with it what it could send.
        return 0.0, 0.0
    tokens, filled_at, now = found
    return tokens, None if filled_at is None else (now - filled_at).total_seconds()


def _capacity(channel: Channel) -> int:
    """Return how many rows fit the lease, with a margin of two."""
    rounds = LEASE_SECONDS // (2 * channel.timeout_seconds)
    return channel.max_parallel * max(1, rounds)


def _next_rows(channel: Channel, *, limit: int) -> list[Notification]:
    # The order of the index, and no more: a sort would read the whole queue for each claim.
    due = Notification.objects.filter(channel=channel).next_due().unblocked().only(*_NEEDED)
    if connection.vendor == "postgresql":
        # Until it has counted a sudden flood, it takes it for a few rows and would sort them.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_sort = off")
    return list(_locked(due[:limit]))


def _locked(rows: NotificationQuerySet) -> NotificationQuerySet:
    """Lock rows and leave those that another dispatcher is taking; SQLite has one writer anyway."""
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True, of=("self",))
    return rows


def _take_trial(channel: Channel) -> bool:
    """Win the one trial, if there is something to try it with.

    The old time in WHERE lets only one dispatcher win.
    """
    if not Notification.objects.filter(channel=channel).due().unblocked().exists():
        return False
    mine = Channel.objects.filter(pk=channel.pk, open_until=channel.open_until)
    return bool(mine.update(open_until=later(PAUSE_SECONDS)))


def _lease(rows: list[Notification], token: UUID) -> None:
    _record_lost(rows)
    Notification.objects.pending().filter(pk__in=[row.pk for row in rows]).update(
        lease_until=later(LEASE_SECONDS),
        lease_token=token,
        attempts=F("attempts") + 1,
        uncertain=Case(
            When(lease_token__isnull=False, then=Value(value=True)), default=F("uncertain")
        ),
    )
    for row in rows:
        row.uncertain = row.uncertain or row.lease_token is not None
        row.lease_token = token
        row.attempts += 1


def _record_lost(rows: Iterable[Notification]) -> None:
    """Write the attempts that never ended: their dispatcher died, or lost its lease."""
    DeliveryAttempt.objects.bulk_create(
        DeliveryAttempt(
            notification=row,
            number=row.attempts,
            started_at=row.lease_until - timedelta(seconds=LEASE_SECONDS),
            outcome=DeliveryAttempt.Outcome.UNKNOWN,
            error_class="lost",
            detail="The dispatcher stopped before it knew the answer.",
        )
        for row in rows
        if row.lease_until is not None
    )


def _held(claim: Claim, messages: Iterable[Notification]) -> NotificationQuerySet:
    ids = [message.pk for message in messages]
    return Notification.objects.held_by(claim.token).filter(pk__in=ids)
