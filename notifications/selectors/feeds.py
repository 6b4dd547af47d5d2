"""What the live feed holds, and how far people have read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from notifications.engine.frames import Entry
from notifications.models import Feed, FeedEntry, ReadCursor

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from uuid import UUID

PAGE: Final = 500
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Position:
    """The newest number of an audience, and the last that a person has read."""

    seq: int
    read: int


def heads(audiences: Collection[str]) -> dict[str, int]:
    """Return the newest number of each audience; one without entries is missing."""
    found: dict[str, int] = {}
    for some in _chunks(audiences):
        rows = Feed.objects.filter(audience__in=some).order_by()
        found |= dict(rows.values_list("audience", "last_seq"))
    return found


def entries(audience: str, after: int, limit: int = PAGE) -> list[Entry]:
    """Return the next entries of an audience after a number, in order."""
    rows = FeedEntry.objects.filter(audience=audience, seq__gt=after).order_by("seq")[:limit]
    return [
        Entry(audience, seq, kind, payload, at)
        for seq, kind, payload, at in rows.values_list("seq", "kind", "payload", "created_at")
    ]


def news(known: Mapping[str, int], limit: int = PAGE) -> dict[str, tuple[int, list[Entry]]]:
    """Return of each audience that is elsewhere its newest number and its next entries."""
    newest = heads(known)
    return {
        audience: (head, entries(audience, seq, limit) if head > seq else [])
        for audience, seq in known.items()
        for head in [newest.get(audience, 0)]
        if head != seq
    }


def positions(audiences: Collection[str], user_id: UUID | None) -> dict[str, Position]:
    """Return where each audience is and how far the person has read; keys of scripts read all.

    What nobody can read any more, for it is no longer kept, counts as read.
    """
    newest = heads(audiences)
    read: dict[str, int] = {}
    if user_id is not None:
        rows = ReadCursor.objects.filter(user=user_id, audience__in=audiences).order_by()
        read = dict(rows.values_list("audience", "seq"))
    return {
        audience: Position(seq, _read(audience, read.get(audience, 0), seq) if user_id else seq)
        for audience in sorted(audiences)
        for seq in [newest.get(audience, 0)]
    }


def _read(audience: str, read: int, seq: int) -> int:
    if read >= seq:
        return seq
    kept = FeedEntry.objects.filter(audience=audience, seq__gt=read).order_by("seq")
    first: int | None = kept.values_list("seq", flat=True).first()
    return seq if first is None else min(first - 1, seq)


def _chunks(names: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(names)
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]
