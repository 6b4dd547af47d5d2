"""What a person is told in the notification centre: their own feed and the alerts, newest first.

Each feed is numbered for itself, so a place in the centre is one number for each of them. Entries
without a title, by which pages follow what changes, are no news for people and stand nowhere here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import merge
from typing import TYPE_CHECKING, Final, Literal

from notifications.engine.audiences import ALERTS, MESSAGE, of_user
from notifications.models import FeedEntry
from notifications.selectors.feeds import positions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from django.db.models import QuerySet

    from notifications.engine.frames import Entry
    from notifications.selectors.feeds import Position

INBOX_PAGE: Final = 50
OWN_KINDS: Final = (MESSAGE, "job.finished")
ALERT_KINDS: Final = ("alert", "escalation")
KINDS: Final = (*OWN_KINDS, *ALERT_KINDS)
"""What stands in the centre."""

Place = dict[str, int]
Direction = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of it is to be shown."""

    kind: str = ""
    severity: str = ""
    is_unread: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One entry, and whether the person has looked at it."""

    entry: Entry
    severity: str
    is_unread: bool


@dataclass(frozen=True, slots=True)
class Inbox:
    """One page of the centre."""

    lines: list[Line]
    places: Mapping[str, Position] = field(default_factory=dict)
    """Where each feed is, whatever the filters show."""
    older: Place | None = None
    """What `before` is on the next page; None on the last one."""
    newer: Place | None = None
    """What `after` is on the page before; None on the first one."""

    @property
    def unread(self) -> int:
        """Return how many entries nobody has looked at, of all."""
        return unread_of(self.places)


def unread_of(places: Mapping[str, Position]) -> int:
    """Return how many entries of these feeds were not read yet."""
    return sum(position.seq - position.read for position in places.values())


def inbox_audiences(audiences: Collection[str], user_id: UUID | None) -> list[str]:
    """Return the feeds of the centre among those that somebody may follow."""
    own = of_user(user_id) if user_id is not None else ""
    return sorted(name for name in audiences if name in {ALERTS, own})


def inbox(
    audiences: Collection[str],
    user_id: UUID | None,
    wanted: Wanted,
    *,
    before: Place | None = None,
    after: Place | None = None,
    limit: int = INBOX_PAGE,
) -> Inbox:
    """Return the page before or after a place, or the newest; `audiences` are the person's."""
    places = positions(audiences, user_id)
    if after is not None:
        page = _page(places, wanted, "after", _within(places, after), limit)
        if page.newer is not None:
            return page
        # The newest page is shown whole.
        before = None
    start = _within(places, before) if before is not None else None
    return _page(places, wanted, "before", start, limit)


def _within(places: Mapping[str, Position], given: Place) -> Place:
    """Return a place with one number for each feed; of one that it does not name, the newest."""
    return {name: given.get(name, position.seq + 1) for name, position in places.items()}


def _page(
    places: Mapping[str, Position],
    wanted: Wanted,
    direction: Direction,
    start: Place | None,
    limit: int,
) -> Inbox:
    bounds = start or {name: position.seq + 1 for name, position in places.items()}
    backwards = direction == "before"
    kinds = _kinds(places, wanted)
    found = [
        _some(name, position, wanted, kinds, direction, bounds[name], limit + 1)
        for name, position in places.items()
    ]
    # Feeds keep their own order, whatever the clocks of the processes say that wrote them.
    ordered = list(merge(*found, key=lambda line: line.entry.at, reverse=backwards))
    shown, rest = ordered[:limit], ordered[limit:]
    numbers = {
        name: [line.entry.seq for line in shown if line.entry.audience == name] for name in places
    }
    if backwards:
        older = {name: min(some, default=bounds[name]) for name, some in numbers.items()}
        newer = {name: max(some, default=bounds[name] - 1) for name, some in numbers.items()}
        return Inbox(
            lines=shown,
            places=places,
            older=older if rest else None,
            newer=newer if start is not None and _has_newer(places, newer) else None,
        )
    older = {name: min(some, default=bounds[name] + 1) for name, some in numbers.items()}
    newer = {name: max(some, default=bounds[name]) for name, some in numbers.items()}
    return Inbox(
        lines=shown[::-1],
        places=places,
        older=older,
        newer=newer if rest else None,
    )


def _has_newer(places: Mapping[str, Position], place: Place) -> bool:
    return any(position.seq > place[name] for name, position in places.items())


def _kinds(places: Mapping[str, Position], wanted: Wanted) -> list[str]:
    """Return what is to be shown; a message tells of an alert, and so needs the right to those."""
    sees_alerts = ALERTS in places
    chosen = [wanted.kind] if wanted.kind else KINDS
    return [kind for kind in chosen if sees_alerts or kind != MESSAGE]


def _some(
    audience: str,
    position: Position,
    wanted: Wanted,
    kinds: Collection[str],
    direction: Direction,
    bound: int,
    limit: int,
) -> list[Line]:
    """Return entries of one feed, beginning at the bound."""
    kinds = [kind for kind in (ALERT_KINDS if audience == ALERTS else OWN_KINDS) if kind in kinds]
    if not kinds:
        return []
    rows: QuerySet[FeedEntry] = FeedEntry.objects.filter(audience=audience)
    if direction == "before":
        rows = rows.filter(seq__lt=bound).order_by("-seq")
    else:
        rows = rows.filter(seq__gt=bound).order_by("seq")
    rows = rows.filter(kind__in=kinds)
    if wanted.severity:
        rows = rows.filter(severity=wanted.severity)
    if wanted.is_unread:
        rows = rows.filter(seq__gt=position.read)
    return [_line(row, position) for row in rows[:limit]]


def _line(row: FeedEntry, position: Position) -> Line:
    return Line(row.as_entry(), row.severity, row.seq > position.read)
