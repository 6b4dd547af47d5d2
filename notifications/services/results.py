"""What came of an attempt: the row, its history and the channel's health, in one transaction."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING, Final

from django.db.models import Case, F, When
from django.db.models.functions import Now
from django.utils import timezone

from audit.services.acts import act
from audit.services.records import record
from core.actors import Actor
from notifications.engine import backoff
from notifications.engine.base import EXCERPT_CHARACTERS, Verdict, storable
from notifications.models import Channel, DeliveryAttempt, Event, Notification
from notifications.services import fallback
from notifications.services.claims import ERROR_CHARACTERS, PAUSE_SECONDS, hold_up, later

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from notifications.engine.base import Outcome
    from notifications.services.claims import Claim

logger = logging.getLogger(__name__)

FAILURES_BEFORE_PAUSE: Final = 5
TOO_MANY: Final = 429
DISPATCHER: Final = Actor.schedule("notifications.dispatch")

_random = SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One attempt that has ended."""

    message: Notification
    started_at: datetime
    ended_at: datetime
    outcome: Outcome


def finish(*, claim: Claim, results: Sequence[Result]) -> bool:
    """Record how attempts ended; return whether the channel may go on.

    A row that this claim no longer holds is left as it is: another dispatcher has taken it over
    and has already recorded that this attempt went silent.
    """
    with act():
        held = _held(claim, results)
        ours = [result for result in results if result.message.pk in held]
        _end_delivered(claim, [r for r in ours if r.outcome.verdict is Verdict.DELIVERED])
        failed = [r for r in ours if r.outcome.verdict is not Verdict.DELIVERED]
        dead = [result.message.pk for result in failed if _end_failed(claim, result)]
        DeliveryAttempt.objects.bulk_create(_attempt(result) for result in ours)
        go_on = _note_health(claim.channel, [r.outcome for r in ours if not _is_personal(r)])
        fallback.stand_in(dead)
    if len(ours) < len(results):
        lost = sorted(r.message.pk for r in results if r.message.pk not in held)
        logger.warning(
            "Another dispatcher has taken over messages; their outcome here is dropped.",
            extra={"channel": claim.channel.name, "notifications": lost},
        )
    return go_on


def _held(claim: Claim, results: Sequence[Result]) -> set[int]:
    # The channel before its rows, as everywhere: two orders would make a deadlock.
    channel = Channel.objects.select_for_update(no_key=True).filter(pk=claim.channel.pk)
    channel.values_list("pk").first()
    rows = Notification.objects.held_by(claim.token).filter(
        pk__in=[result.message.pk for result in results]
    )
    # The lock lets nobody take a row over between this look and the writes below.
    return set(rows.select_for_update().order_by("pk").values_list("pk", flat=True))


def _end_delivered(claim: Claim, results: Sequence[Result]) -> None:
    by_reference: dict[str, list[int]] = {}
    for result in results:
        reference = storable(result.outcome.provider_ref, limit=200)
        by_reference.setdefault(reference, []).append(result.message.pk)
    for reference, ids in by_reference.items():
        Notification.objects.held_by(claim.token).filter(pk__in=ids).update(
            state=Notification.State.SENT,
            sent_at=Now(),
            lease_until=None,
            lease_token=None,
            last_error="",
            provider_ref=reference,
        )


def _end_failed(claim: Claim, result: Result) -> bool:
    """Record a failure; return whether it was the last."""
    message, outcome = result.message, result.outcome
    row = Notification.objects.held_by(claim.token).filter(pk=message.pk)
    changes: dict[str, object] = {
        "lease_until": None,
        "lease_token": None,
        "last_error": storable(outcome.detail, limit=ERROR_CHARACTERS),
        "uncertain": message.uncertain or outcome.uncertain,
    }
    # Whoever sends a test waits for the answer; a test that arrives hours later helps nobody.
    is_test = message.reason == Notification.Reason.TEST
    if outcome.verdict is Verdict.REFUSED or is_test:
        row.update(state=Notification.State.DEAD, **changes)
        return True
    wait = backoff.jitter(previous_seconds=message.wait_seconds, random=_random)
    is_critical = message.severity == Event.Severity.CRITICAL
    asked = backoff.heeded(outcome.retry_after_seconds, is_critical=is_critical)
    next_at = backoff.next_try(
        now=timezone.now(),
        wait_seconds=max(wait, asked),
        expires_at=message.expires_at,
    )
    row.update(next_at=next_at, wait_seconds=wait, **changes)
    return False


def _attempt(result: Result) -> DeliveryAttempt:
    # Strangers wrote some of these texts, and what the database refuses would fail the whole batch.
    outcome = result.outcome
    return DeliveryAttempt(
        notification=result.message,
        number=result.message.attempts,
        started_at=result.started_at,
        ended_at=result.ended_at,
        outcome=outcome.verdict.value,
        status_code=outcome.status_code,
        retry_after_seconds=outcome.retry_after_seconds,
        error_class=storable(outcome.error_class, limit=60),
        detail=storable(outcome.detail, limit=ERROR_CHARACTERS),
        excerpt=storable(outcome.excerpt, limit=EXCERPT_CHARACTERS),
    )


def _is_personal(result: Result) -> bool:
    """Tell whether this says nothing about the channel: one person's own address was refused."""
    is_asked = _asked(result.outcome) > 0
    is_refused = result.outcome.verdict is Verdict.REFUSED and not is_asked
    return is_refused and result.message.user_id is not None


def _note_health(channel: Channel, outcomes: Sequence[Outcome]) -> bool:
    """Count failures in a row on the channel's row; return whether it may go on."""
    row = Channel.objects.filter(pk=channel.pk)
    asked = max(map(_asked, outcomes), default=0.0)
    if asked:
        # The others in the queue would only be told the same.
        hold_up(channel, seconds=asked)
    if any(outcome.verdict is Verdict.DELIVERED for outcome in outcomes):
        row.update(fails=0, open_until=None, last_ok_at=Now(), last_error="")
        if channel.open_until is not None:
            logger.info("A channel works again.", extra={"channel": channel.name})
        return not asked
    if not outcomes:
        return True
    error = storable(outcomes[-1].detail, limit=ERROR_CHARACTERS)
    # What failed on this machine says nothing about the receiver, and one that says when to come
    # again is alive.
    failures = sum(not outcome.local and not _asked(outcome) for outcome in outcomes)
    row.update(
        last_error=error,
        fails=F("fails") + failures,
        open_until=Case(
            When(
                fails__gte=max(0, FAILURES_BEFORE_PAUSE - failures),
                then=later(PAUSE_SECONDS),
            ),
            default=F("open_until"),
        )
        if failures
        else F("open_until"),
    )
    if any(outcome.gone for outcome in outcomes):
        _disable(channel, error)
        return False
    paused = row.filter(open_until__gt=Now()).exists()
    if paused and channel.open_until is None:
        # Said once: a receiver that is gone for a day fails a trial each minute.
        logger.warning(
            "A channel is paused after failures.",
            extra={"channel": channel.name, "error": error},
        )
    return not paused and not asked


def _asked(outcome: Outcome) -> float:
    """Return for how long the receiver wants to be left alone, 0 if it did not say."""
    is_limited = outcome.status_code == TOO_MANY
    return (outcome.retry_after_seconds or 0.0) if is_limited else 0.0


def _disable(channel: Channel, reason: str) -> None:
    enabled = Channel.objects.filter(pk=channel.pk, enabled=True)
    if enabled.update(enabled=False, disabled_reason=reason):
        record(actor=DISPATCHER, action="channel.disabled", target=channel, reason=reason)
