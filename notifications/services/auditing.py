"""The auditor: is every alert on its way to people? It mends what it may and tells the rest."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from core import leases
from core.actors import Actor
from core.drill import is_drill
from core.http import (
    Allow,
    FetchError,
    InvalidTargetError,
    OutgoingRequest,
    Policy,
    RefusedTargetError,
    fetch,
    session,
)
from notifications.models import (
    EscalationRun,
    Event,
    Group,
    GroupMember,
    Notification,
)
from notifications.selectors import holds
from notifications.services import claims, escalation, fallback
from notifications.services.emit import emit
from notifications.services.routing import route

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from django.db.models import QuerySet

logger = logging.getLogger(__name__)

AUDITOR: Final = Actor.schedule("notifications.audit")
DEDUP_KEY: Final = "platform:alerts"
ROUTED_WITHIN: Final = timedelta(minutes=1)
STEPPED_WITHIN: Final = timedelta(minutes=2)
LOOPS_RUN_WITHIN: Final = timedelta(minutes=5)
SENT_WITHIN: Final = {
    Event.Severity.CRITICAL: timedelta(minutes=5),
    Event.Severity.WARNING: timedelta(minutes=15),
    Event.Severity.INFO: timedelta(minutes=60),
}
"""How long what is due may lie there while its channel is well."""

MOST_MENDED: Final = 200
_LOOPS: Final = {
    "notifications.route": "Nobody has turned alerts into messages for five minutes.",
    "notifications.dispatch": "Nobody has sent messages for five minutes.",
}
_PING_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Audit:
    """What was wrong, what still is after mending, and whether the switch outside was told."""

    found: tuple[str, ...]
    left: tuple[str, ...]
    told_outside: bool


def audit() -> Audit:
    """Look whether alerts reach people, mend within bounds, and raise or end the one self-alert.

    Only a clean look pings the switch outside: if this platform is silent, somebody else must
    speak. A copy for a drill looks at nothing and pings nobody.
    """
    if is_drill():
        return Audit((), (), told_outside=False)
    found = examine()
    left = found
    if found:
        logger.warning("Alerts do not get through as they should.", extra={"found": list(found)})
        _mend()
        left = examine()
    _tell(found, left)
    is_well = not found and holds.current() is None
    return Audit(found, left, told_outside=is_well and _ping())


def examine(*, now: datetime | None = None) -> tuple[str, ...]:
    """Return what is wrong, in words; nothing if every alert is on its way."""
    now = now or timezone.now()
    wrong = [
        said
        for name, said in _LOOPS.items()
        if not leases.was_held(name=name, within=LOOPS_RUN_WITHIN)
    ]
    for rows, said in (
        (_unrouted(now), "alerts have not been routed for over a minute"),
        (_unflushed(now), "threads should have been told for over a minute"),
        (_untold(now), "threads have been firing without a message or an escalation"),
        (_overdue(now), "escalations are more than two minutes late"),
    ):
        if count := rows.count():
            wrong.append(f"{count:,} {said}.")
    if holds.current() is None:
        wrong += _unsent(now)
    return tuple(wrong)


def _unrouted(now: datetime) -> QuerySet[Event]:
    return Event.objects.filter(routed_at__isnull=True, created_at__lt=now - ROUTED_WITHIN)


def _unflushed(now: datetime) -> QuerySet[Group]:
    return Group.objects.filter(flush_at__lt=now - ROUTED_WITHIN)


def _untold(now: datetime) -> QuerySet[Group]:
    """Return open threads that fire, and of which nothing is told, planned or tried."""
    firing = GroupMember.objects.filter(group=OuterRef("pk"), status=Event.Status.FIRING)
    return Group.objects.filter(
        Exists(firing),
        ~Exists(Notification.objects.filter(group=OuterRef("pk"))),
        ~Exists(EscalationRun.objects.filter(group=OuterRef("pk"))),
        closed_at__isnull=True,
        flush_at__isnull=True,
        last_sent_at__isnull=True,
        opened_at__lt=now - ROUTED_WITHIN,
    )


def _overdue(now: datetime) -> QuerySet[EscalationRun]:
    return EscalationRun.objects.filter(
        state=EscalationRun.State.ACTIVE, next_step_at__lt=now - STEPPED_WITHIN
    )


def _unsent(now: datetime) -> list[str]:
    """Return what lies in the outbox though it is due and its channel is well."""
    wrong = []
    ready = Notification.objects.due().unblocked().filter(claims.is_free("channel__"))
    for severity, limit in SENT_WITHIN.items():
        oldest = (
            ready.filter(severity=severity, next_at__lt=now - limit)
            .order_by("next_at")
            .values_list("next_at", flat=True)
            .first()
        )
        if oldest is not None:
            minutes = int((now - oldest).total_seconds() // 60)
            wrong.append(f"A {severity} message has been due for {minutes:,} minutes.")
    return wrong


def _mend() -> None:
    """Do what the loops should have done, as far as nobody else is at it."""
    for what in (_plan_untold, _route, escalation.tick, fallback.missed):
        _try(what)


def _plan_untold() -> None:
    keys = list(_untold(timezone.now()).values_list("pk", flat=True)[:MOST_MENDED])
    Group.objects.filter(pk__in=keys, flush_at__isnull=True).update(flush_at=timezone.now())


def _route() -> None:
    held = leases.acquire(name="notifications.route", seconds=60)
    if held is None:
        # The daemon is at it, and is only slow; two routers would bring threads out of order.
        return
    try:
        route(held)
    finally:
        leases.release(held)


def _try(what: Callable[[], object]) -> None:
    try:
        what()
    except Exception:
        # The others are tried all the same; what is left is told.
        logger.exception("The auditor could not mend something.")


def _tell(found: tuple[str, ...], left: tuple[str, ...]) -> None:
    """Raise the one alert about ourselves, or end it."""
    last = Event.objects.filter(dedup_key=DEDUP_KEY).order_by("-pk").first()
    is_firing = last is not None and last.status == Event.Status.FIRING
    if bool(found) == is_firing:
        return
    severity = Event.Severity.CRITICAL if left else Event.Severity.WARNING
    with transaction.atomic():
        emit(
            actor=AUDITOR,
            kind="platform.alerts",
            severity=severity if found else (last.severity if last else severity),
            status=Event.Status.FIRING if found else Event.Status.RESOLVED,
            dedup_key=DEDUP_KEY,
            transition_seq=last.transition_seq + 1 if last else 1,
            title="Alerts do not get through as they should"
            if found
            else "Alerts get through again",
            body=_body(found, left),
            service="OpsPlatform",
            links={"Queue": f"{settings.BASE_URL.rstrip('/')}/admin/notifications/notification/"},
        )


def _body(found: tuple[str, ...], left: tuple[str, ...]) -> str:
    if not found:
        return "The auditor finds every alert on its way."
    lines = [*found, ""]
    if left:
        lines += ["Still so after an attempt to mend it:", *left, ""]
        lines.append("See that `manage.py daemon` runs, and read its log.")
    else:
        lines.append("The auditor has mended it.")
    return "\n".join(lines)


def _ping() -> bool:
    """Tell the switch outside that all is well; its address is a secret and is never told."""
    url = settings.OPS_DEAD_MANS_SWITCH_URL
    if not url:
        return False
    try:
        status = asyncio.run(_get(url))
    except (FetchError, InvalidTargetError, RefusedTargetError) as error:
        logger.warning(
            "The dead man's switch could not be told.", extra={"error": type(error).__name__}
        )
        return False
    if not 200 <= status < 300:  # noqa: PLR2004  # the answers that mean yes
        logger.warning("The dead man's switch refused.", extra={"status": status})
        return False
    return True


async def _get(url: str) -> int:
    async with session(Policy.OUTBOUND, Allow.parse(settings.OPS_OUTGOING_ALLOW)) as client:
        response = await fetch(client, OutgoingRequest(url, timeout_seconds=_PING_SECONDS))
    return response.status
