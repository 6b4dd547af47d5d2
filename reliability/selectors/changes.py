"""What changed before something went wrong."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import CharField, Q
from django.db.models.functions import Cast

from audit.models import AuditRecord
from core.actors import ActorKind
from reliability.engine.acts import act_in_words, acts_in_words
from reliability.models import SLO, Change, Check

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from django.db.models import QuerySet

MOST: Final = 20
"""How many of each source are named."""
ONE_BY_ONE: Final = 5
"""More acts of one kind by one person are counted and not named."""
_READ: Final = 1_000

_CATEGORIES: Final = (
    AuditRecord.Category.ADMIN,
    AuditRecord.Category.AUTHZ,
    AuditRecord.Category.SYSTEM,
)
# What the platform does on its beat explains nothing.
_OWN: Final = (ActorKind.SCHEDULE, ActorKind.SYSTEM)
# Acts of these categories that change nothing.
_LOOKS: Final = (".used", ".warned", ".tested", ".verified", "_revealed", "_requested")
# Told better by the rows themselves.
_TOLD_ELSEWHERE: Final = "reliability.Change"
# These belong to one service; a change of another's explains nothing.
_OF_SERVICES: Final = "reliability."
_OF_CHECKS: Final = ("reliability.Check", "reliability.Heartbeat")


@dataclass(frozen=True, slots=True)
class Changed:
    """One thing that somebody changed."""

    at: datetime
    text: str
    actor_kind: str
    actor_name: str


def before(at: datetime, service_id: int | None, hours: float = 1) -> list[Changed]:
    """Return what changed in the hours before a moment and may matter to a service, oldest first.

    Without a service: whatever changed.
    """
    return between(at - timedelta(hours=hours), at, service_id)


def between(start: datetime, end: datetime, service_id: int | None) -> list[Changed]:
    """Return what changed within a stretch of time and may matter to a service, oldest first."""
    found = [change for source in SOURCES for change in source(start, end, service_id)]
    return sorted(found, key=lambda change: change.at)


def of_service(service_id: int | None = None) -> QuerySet[Change]:
    """Return what was told of a service, newest first; what names no service is about all."""
    found = Change.objects.select_related("service").order_by("-at", "-id")
    if service_id is None:
        return found
    return found.filter(Q(service=service_id) | Q(service=None))


def words(change: Change) -> str:
    """Return a change in one line; titles often name the version themselves."""
    is_missing = change.version and change.version not in change.title
    version = f" {change.version}" if is_missing else ""
    return f"{change.get_kind_display()}: {change.title}{version}"


def _told(start: datetime, end: datetime, service_id: int | None) -> list[Changed]:
    rows = of_service(service_id).filter(at__gte=start, at__lte=end)[:MOST]
    # It may be someone's key that told; which kind of actor it was is in the audit log.
    return [Changed(row.at, words(row), ActorKind.API_KEY, row.told_by) for row in rows]


def _recorded(start: datetime, end: datetime, service_id: int | None) -> list[Changed]:
    """Return settings, rights and schedules that people changed, by the audit log."""
    by_time = AuditRecord.objects.filter(at__gte=start).order_by("at")
    first = by_time.values_list("pk", flat=True).first()
    if first is None:
        return []
    found = (
        AuditRecord.objects.filter(
            # Ids rise with time; from there on the index of categories leads past all else.
            pk__gte=first,
            at__gte=start,
            at__lte=end,
            category__in=_CATEGORIES,
            outcome=AuditRecord.Outcome.ALLOWED,
        )
        .exclude(actor_kind__in=_OWN)
        .exclude(target_type=_TOLD_ELSEWHERE)
    )
    for ending in _LOOKS:
        found = found.exclude(action__endswith=ending)
    if service_id is not None:
        found = found.filter(
            ~Q(target_type__startswith=_OF_SERVICES)
            | Q(target_type="reliability.Service", target_id=str(service_id))
            | Q(target_type__in=_OF_CHECKS, target_id__in=_keys(Check.objects.all(), service_id))
            | Q(target_type="reliability.SLO", target_id__in=_keys(SLO.objects.all(), service_id))
        )
    alike: defaultdict[tuple[str, str, str], list[AuditRecord]] = defaultdict(list)
    for row in found.order_by("-id")[:_READ]:
        alike[row.action, row.actor_kind, row.actor_name].append(row)
    told: list[Changed] = []
    for (action, kind, name), rows in alike.items():
        if len(rows) > ONE_BY_ONE:
            told.append(Changed(rows[0].at, acts_in_words(action, len(rows)), kind, name))
            continue
        told += [Changed(row.at, act_in_words(action, row.target_name), kind, name) for row in rows]
    return sorted(told, key=lambda change: change.at)[-MOST:]


def _keys(rows: QuerySet[Any], service_id: int) -> QuerySet[Any, Any]:
    """Return the ids of what belongs to a service, as the audit log writes them."""
    told: QuerySet[Any, Any] = rows.filter(service=service_id).annotate(key=Cast("pk", CharField()))
    return told.values("key")


# A capability that knows of other changes adds a line.
SOURCES: Final[tuple[Callable[[datetime, datetime, int | None], list[Changed]], ...]] = (
    _told,
    _recorded,
)
