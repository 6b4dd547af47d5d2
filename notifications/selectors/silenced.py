"""Which alerts a silence means: those that hold now, and those of the last days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from notifications.engine import matching
from notifications.models import Event, GroupMember
from notifications.selectors.routing import facts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notifications.engine.matching import Matcher

LATELY: Final = timedelta(days=7)
MOST_READ: Final = 5_000
"""Of the alerts of the last days, the newest so many are looked at."""
SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Matched:
    """What some conditions mean."""

    holding: int
    """How many alerts hold that match; people would not be told of them."""
    lately: int
    """How many alerts began in the last days that match."""
    examples: Sequence[Event]
    """The newest of both."""
    is_cut: bool
    """Whether older alerts were not looked at."""


def matched(matchers: Sequence[Matcher]) -> Matched:
    """Look for alerts that match among those that hold and those of the last days."""
    members = GroupMember.objects.filter(status=Event.Status.FIRING, group__closed_at=None)
    # An alert is in the thread of each of its routes.
    open_events = {
        member.event.dedup_key: member.event
        for member in members.select_related("event").order_by("-pk")[:MOST_READ]
    }
    holding = [
        event for event in open_events.values() if matching.matches(matchers, facts_of(event))
    ]
    rows = list(
        Event.objects.filter(status=Event.Status.FIRING)
        .only("kind", "severity", "status", "service", "labels", "dedup_key", "title", "created_at")
        .order_by("-id")[: MOST_READ + 1]
    )
    since = timezone.now() - LATELY
    lately = [
        event
        for event in rows[:MOST_READ]
        if event.created_at >= since and matching.matches(matchers, facts_of(event))
    ]
    newest = {event.pk: event for event in [*holding, *lately]}
    return Matched(
        holding=len(holding),
        lately=len(lately),
        examples=[newest[key] for key in sorted(newest, reverse=True)[:SHOWN]],
        is_cut=len(rows) > MOST_READ and rows[MOST_READ].created_at >= since,
    )
