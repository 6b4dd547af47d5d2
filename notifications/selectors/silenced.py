"""Which alerts a silence means: those that hold now, and those of the last days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from notifications.engine import matching
from notifications.models import Event, GroupMember, Silence
from notifications.selectors.routing import facts_of, read_book
from notifications.selectors.routing import holding as in_force

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from notifications.engine.matching import Matcher
    from notifications.models import Group

LATELY: Final = timedelta(days=7)
LOOK_AGAIN: Final = timedelta(minutes=1)
MOST_READ: Final = 5_000
"""Of the alerts of the last days, the newest so many are looked at."""
MOST_JUDGED: Final = 1_000
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


def silenced_members(group: Group, at: datetime) -> dict[int, datetime]:
    """Return which alerts that hold in a thread a silence keeps back, and until when."""
    book = read_book(at)
    if not book.silences:
        return {}
    rows = GroupMember.objects.filter(group=group, status=Event.Status.FIRING)
    found = ((row, book.silence_of(facts_of(row.event))) for row in rows.select_related("event"))
    return {row.pk: silence.ends_at for row, silence in found if silence is not None}


def silenced_until(group: Group) -> datetime | None:
    """Return when to look again at a thread of which all that holds is silenced; None otherwise.

    Soon, since a silence may be ended before its time.
    """
    now = timezone.now()
    kept_back = silenced_members(group, now)
    holding = GroupMember.objects.filter(group=group, status=Event.Status.FIRING)
    if not kept_back or holding.exclude(pk__in=kept_back).exists():
        return None
    return min(*kept_back.values(), now + LOOK_AGAIN)


def threads() -> set[int]:
    """Return the open threads, acknowledged by nobody, of which a silence keeps all that holds.

    Of very many alerts the newest threads are judged; the others count as heard.
    """
    now = timezone.now()
    if not Silence.objects.filter(in_force(now)).exists():
        return set()
    book = read_book(now)
    rows = GroupMember.objects.filter(
        status=Event.Status.FIRING, group__closed_at=None, group__acked_at=None
    ).select_related("event")
    kept: set[int] = set()
    heard: set[int] = set()
    found = list(rows.order_by("-group_id", "pk")[:MOST_JUDGED])
    for row in found:
        silence = book.silence_of(facts_of(row.event))
        (heard if silence is None else kept).add(row.group_id)
    if len(found) == MOST_JUDGED:
        # Of the last one more alerts may hold.
        heard.add(found[-1].group_id)
    return kept - heard


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
