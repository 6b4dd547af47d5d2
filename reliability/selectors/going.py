"""What goes along when services are deleted, by count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Count, Sum

from reliability.models import SLO, Change, Sample, SampleChunk

if TYPE_CHECKING:
    from collections.abc import Collection

# Services may hold millions of results: counting all of them would keep the page waiting.
_MOST: Final = 10_000


def going_along(service_ids: Collection[int]) -> list[str]:
    """Return what belongs to services beside their checks, in words; nothing of what is not."""
    objectives = SLO.objects.filter(service__in=service_ids).count()
    changes = Change.objects.filter(service__in=service_ids).count()
    results = _results(service_ids)
    told = []
    if objectives:
        whose = "it" if objectives == 1 else "them"
        told.append(f"{_number(objectives, 'objective')} with what was noted of {whose}")
    if changes:
        told.append(_number(changes, "recorded change"))
    if results:
        told.append(f"{results}, and the history of states")
    return told


def _results(service_ids: Collection[int]) -> str:
    rows = Sample.objects.filter(check_of__service__in=service_ids).order_by()[:_MOST].count()
    chunks = SampleChunk.objects.filter(check_of__service__in=service_ids).order_by()[:_MOST]
    packed = chunks.aggregate(n=Sum("n"), rows=Count("pk"))
    count = rows + (packed["n"] or 0)
    is_cut = _MOST in {rows, packed["rows"]}
    found = _number(count, "result") if count else ""
    return f"more than {found}" if is_cut else found


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
