"""Find records by what people and programs ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import connections
from django.db.models import BigIntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.query import ModelIterable
from django.utils import timezone

from audit.models import AuditLink, AuditRecord
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXACT: Final[dict[str, str]] = {
    "actor": "actor_key",
    "actor_kind": "actor_kind",
    "category": "category",
    "target": "target_id",
    "target_type": "target_type",
    "outcome": "outcome",
    "address": "address",
    "session": "session",
    "request_id": "request_id",
}
# Words are compared with every text of a row: without a time, no further back than this.
WORDS_REACH: Final = timedelta(days=30)
FILTERS: Final = (*EXACT, "action", "since", "until", "q")
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_TEXTS: Final = ("action", "actor_name", "target_name", "target_id", "reason", "payload")


def found(given: Mapping[str, str]) -> QuerySet[AuditRecord]:
    """Return the records that the filters name, newest first, with their place in the chain.

    `action` compares the beginning, `since` and `until` take ISO 8601 in UTC, `q` looks into
    texts, everything else compares exactly. `q` without `since` reaches a month back from `until`
    or now. Raises InvalidInputError.
    """
    rows = AuditRecord.objects.filter(
        **{column: given[name] for name, column in EXACT.items() if name in given}
    )
    if "action" in given:
        rows = rows.filter(action__startswith=given["action"])
    for name, lookup in (("since", "at__gte"), ("until", "at__lt")):
        if name in given:
            rows = rows.filter(**{lookup: _moment(name, given[name])})
    words = given.get("q", "").split()
    if words and "since" not in given:
        rows = reached(rows, _moment("until", given["until"]) if "until" in given else None)
    for word in words:
        wanted = Q()
        for column in _TEXTS:
            wanted |= Q(**{f"{column}__icontains": word})
        rows = rows.filter(wanted)
    return sealed(rows)


def reached(rows: QuerySet[AuditRecord], until: datetime | None) -> QuerySet[AuditRecord]:
    """Narrow a search for words to a month before that moment or now."""
    end = until or timezone.now()
    return rows.filter(at__gte=end - min(WORDS_REACH, end - _FIRST))


def sealed(rows: QuerySet[AuditRecord]) -> QuerySet[AuditRecord]:
    """Add the place in the chain and the digest; both are null before the seal."""
    link = AuditLink.objects.filter(record_id=OuterRef("pk"))
    found = rows.annotate(
        seq=Subquery(link.values("seq")[:1], output_field=BigIntegerField()),
        digest=Subquery(link.values("digest")[:1]),
    )
    readable: Any = found
    readable._iterable_class = _Readable  # noqa: SLF001  # as values() does it
    return found


class _Readable(ModelIterable[AuditRecord]):
    """Rows whose texts can be read: one that somebody has spoilt must not hide all others."""

    def __iter__(self) -> Iterator[AuditRecord]:
        database: Any = connections[self.queryset.db]
        if database.vendor != "sqlite":
            yield from super().__iter__()
            return
        database.ensure_connection()
        raw = database.connection
        # PostgreSQL refuses what is no text; SQLite keeps it.
        before, raw.text_factory = raw.text_factory, _decoded
        try:
            yield from super().__iter__()
        finally:
            raw.text_factory = before


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        message = "A filter cannot be used."
        text = "Give a time such as 2026-11-20T16:00:00Z."
        raise InvalidInputError(message, errors={name: [text]}) from None
    return moment
