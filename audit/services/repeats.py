"""Denials alike within a minute: the first at once, the others as one summary."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import F
from django.utils import timezone

from audit.engine.chain import SEPARATOR, told_time
from audit.models import AuditRepeat
from audit.services.acts import unwatched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    Insert = Callable[[Mapping[str, str]], Any]

WINDOW: Final = timedelta(seconds=60)

_ALIKE: Final = (
    "action",
    "outcome",
    "actor_kind",
    "actor_key",
    "actor_name",
    "address",
    "target_type",
    "target_id",
    "reason",
    "payload",
)


def is_first(texts: Mapping[str, str], insert: Insert) -> bool:
    """Tell whether to write the record now; one alike within the minute is only counted."""
    key = hashlib.sha256(SEPARATOR.join(texts[name] for name in _ALIKE).encode()).hexdigest()
    with unwatched("counts of denials are the log's own bookkeeping"):
        return _is_first(key, texts, insert)


def _is_first(key: str, texts: Mapping[str, str], insert: Insert) -> bool:
    now = timezone.now()
    rows = AuditRepeat.objects.filter(pk=key)
    if rows.filter(since__gt=now - WINDOW).update(count=F("count") + 1, last_at=now):
        return False
    for old in rows.select_for_update():
        _tell(old, insert)
    made = AuditRepeat(key=key, since=now, last_at=now, sample=json.dumps(dict(texts)))
    # Of two processes at the same moment the second counts itself as a repeat.
    AuditRepeat.objects.bulk_create([made], ignore_conflicts=True)
    return not rows.exclude(since=now).update(count=F("count") + 1, last_at=now)


def tell(insert: Insert) -> int:
    """Write a summary of every minute that is over; return how many."""
    told = 0
    for key in list(_over().values_list("pk", flat=True)[:1_000]):
        with unwatched("a summary takes the place of its count"):
            for row in _over().select_for_update().filter(pk=key):
                told += _tell(row, insert)
    return told


def _over() -> Any:  # noqa: ANN401  # a queryset
    return AuditRepeat.objects.filter(since__lte=timezone.now() - WINDOW)


def _tell(row: AuditRepeat, insert: Insert) -> int:
    AuditRepeat.objects.filter(pk=row.pk).delete()
    if not row.count:
        return 0
    sample: dict[str, str] = json.loads(row.sample)
    payload = {**json.loads(sample["payload"]), "repeats": row.count, "until": _short(row.last_at)}
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    insert({**sample, "at": told_time(timezone.now()), "payload": text})
    return 1


def _short(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
