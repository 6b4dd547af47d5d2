"""Tell the console: entries of the live feed, numbered in the order of their commits."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from core.errors import InvalidInputError
from notifications.models import Event, FeedEntry, ReadCursor
from notifications.selectors import heads
from notifications.services import wakeups

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

logger = logging.getLogger(__name__)

KEPT: Final = timedelta(days=7)
MOST_PAYLOAD_BYTES: Final = 16_384
MOST_OF_A_KIND: Final = 100
_TRIMMED_AT_ONCE: Final = 5_000

# One statement makes the row or moves it on, and keeps it locked until the commit.
_ADVANCE: Final = """
INSERT INTO notifications_feed (audience, last_seq) VALUES (%s, %s)
ON CONFLICT (audience) DO UPDATE SET last_seq = notifications_feed.last_seq + excluded.last_seq
RETURNING last_seq
"""


@dataclass(frozen=True, slots=True)
class News:
    """Something to tell an audience; of more than a hundred at once, `bulk` alone is told."""

    audience: str
    kind: str
    data: Mapping[str, Any]
    bulk: str = ""


def publish(audience: str, kind: str, data: Mapping[str, Any]) -> int:
    """Tell an audience something now, in a short transaction of its own; return its number."""
    with transaction.atomic():
        return append([News(audience, kind, data)])[audience]


def append(news: Sequence[News]) -> dict[str, int]:
    """Add numbered entries inside the caller's transaction; return the newest numbers.

    Only for transactions that are about telling people: until they commit, nobody else can tell
    these audiences anything. Audiences are locked in their order, so two callers never wait for
    each other. Raises InvalidInputError for a payload over 16 KB.
    """
    if not connection.in_atomic_block:
        message = "append() needs a transaction; call publish() outside of one."
        raise RuntimeError(message)
    newest: dict[str, int] = {}
    if not news:
        return newest
    for item in news:
        _refuse_large(item)
    rows: list[FeedEntry] = []
    now = timezone.now()
    counts = Counter(item.audience for item in news)
    with connection.cursor() as cursor:
        for audience in sorted(counts):
            cursor.execute(_ADVANCE, [audience, counts[audience]])
            newest[audience] = cursor.fetchone()[0]
    given = {audience: newest[audience] - count for audience, count in counts.items()}
    for item in news:
        given[item.audience] += 1
        rows.append(
            FeedEntry(
                audience=item.audience,
                seq=given[item.audience],
                kind=item.kind,
                severity=_severity(item),
                payload=dict(item.data),
                created_at=now,
            )
        )
    FeedEntry.objects.bulk_create(rows, batch_size=500)
    transaction.on_commit(wakeups.ring, robust=True)
    return newest


def publish_after_commit(
    audience: str, kind: str, data: Mapping[str, Any], *, bulk: str = ""
) -> None:
    """Tell an audience something once the present transaction has committed.

    What one transaction tells is published together. The console may miss it when the process dies
    in between, or the database does: whoever calls has committed already and is not disturbed.
    """
    item = News(audience, kind, data, bulk)
    here = set(connection.savepoint_ids)
    for savepoints, hook, *_ in connection.run_on_commit:
        # Only with the same savepoints does the other one share the fate of this transaction.
        if isinstance(hook, _Batch) and savepoints == here:
            hook.news.append(item)
            return
    transaction.on_commit(_Batch([item]), robust=True)


class _Batch:
    """What one transaction has to tell."""

    def __init__(self, news: list[News]) -> None:
        self.news = news

    def __call__(self) -> None:
        """Publish it; called after the commit."""
        try:
            with transaction.atomic():
                append(_coalesced(self.news))
        except (DatabaseError, InvalidInputError) as error:
            logger.warning("The console is not told of %d changes: %s", len(self.news), error)


def mark_read(*, user_id: UUID, audience: str, seq: int) -> int:
    """Note that a person has read an audience up to a number; return how far it is now.

    It never goes back, and never beyond the newest entry.
    """
    seq = min(seq, heads([audience]).get(audience, 0))
    cursor, created = ReadCursor.objects.get_or_create(
        user_id=user_id, audience=audience, defaults={"seq": seq}
    )
    if not created and cursor.seq < seq:
        moved = ReadCursor.objects.filter(pk=cursor.pk, seq__lt=seq)
        moved.update(seq=seq)
    return max(cursor.seq, seq)


def trim() -> int:
    """Remove entries older than seven days; return how many.

    The newest of each audience may go too: its feed remembers the number.
    """
    removed = 0
    while True:
        old = FeedEntry.objects.filter(created_at__lt=timezone.now() - KEPT).order_by("created_at")
        ids = list(old.values_list("pk", flat=True)[:_TRIMMED_AT_ONCE])
        if not ids:
            return removed
        removed += FeedEntry.objects.filter(pk__in=ids).delete()[0]


def _severity(item: News) -> str:
    told = item.data.get("severity")
    return told if isinstance(told, str) and told in Event.Severity.values else ""


def _coalesced(news: Iterable[News]) -> list[News]:
    news = list(news)
    counts = Counter((item.audience, item.bulk) for item in news if item.bulk)
    told: list[News] = []
    summed: set[tuple[str, str]] = set()
    for item in news:
        key = (item.audience, item.bulk)
        if not item.bulk or counts[key] <= MOST_OF_A_KIND:
            told.append(item)
        elif key not in summed:
            summed.add(key)
            told.append(News(item.audience, item.bulk, {}))
    return told


def _refuse_large(item: News) -> None:
    if len(orjson.dumps(item.data, default=str)) > MOST_PAYLOAD_BYTES:
        message = f"An entry holds at most {MOST_PAYLOAD_BYTES} bytes."
        raise InvalidInputError(message, errors={"data": [message]})
