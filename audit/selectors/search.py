"""Find records by what people and programs ask for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from django.db.models import BigIntegerField, OuterRef, Q, QuerySet, Subquery

from audit.models import AuditLink, AuditRecord
from core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
FILTERS: Final = (*EXACT, "action", "since", "until", "q")
_TEXTS: Final = ("action", "actor_name", "target_name", "target_id", "reason", "payload")


def found(given: Mapping[str, str]) -> QuerySet[AuditRecord]:
    """Return the records that the filters name, newest first, with their place in the chain.

    `action` compares the beginning, `since` and `until` take ISO 8601 in UTC, `q` looks into
    texts, everything else compares exactly. Raises InvalidInputError.
    """
    rows = AuditRecord.objects.filter(
        **{column: given[name] for name, column in EXACT.items() if name in given}
    )
    if "action" in given:
        rows = rows.filter(action__startswith=given["action"])
    for name, lookup in (("since", "at__gte"), ("until", "at__lt")):
        if name in given:
            rows = rows.filter(**{lookup: _moment(name, given[name])})
    for word in given.get("q", "").split():
        wanted = Q()
        for column in _TEXTS:
            wanted |= Q(**{f"{column}__icontains": word})
        rows = rows.filter(wanted)
    return sealed(rows)


def sealed(rows: QuerySet[AuditRecord]) -> QuerySet[AuditRecord]:
    """Add the place in the chain and the digest; both are null before the seal."""
    link = AuditLink.objects.filter(record_id=OuterRef("pk"))
    return rows.annotate(
        seq=Subquery(link.values("seq")[:1], output_field=BigIntegerField()),
        digest=Subquery(link.values("digest")[:1]),
    )


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = "A filter cannot be used."
        text = "Give a time such as 2026-11-20T16:00:00Z."
        raise InvalidInputError(message, errors={name: [text]}) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
