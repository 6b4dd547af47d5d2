"""Add many checks in one act, as `catalogue.create_check` adds one."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import record
from core.errors import InvalidInputError, NotFoundError
from core.targets import shown_url
from reliability.models import Check, CheckState, Service, StateSegment
from reliability.models.states import PAUSED
from reliability.services import news
from reliability.services.catalogue import OPEN_CHECK_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.actors import Actor

_AT_ONCE: Final = 500


@audited
def add(*, actor: Actor, wanted: Sequence[tuple[int, Mapping[str, Any]]]) -> list[Check]:
    """Add checks, each given by its service and its settings, and return them in order.

    The caller has judged them by the rules of the model. Heartbeats are added one by one.
    """
    if any(fields.get("kind") == Check.Kind.HEARTBEAT for _, fields in wanted):
        message = "A heartbeat is added by itself."
        raise InvalidInputError(message)
    services = _locked({service_id for service_id, _ in wanted})
    made = [Check(service=services[service_id], **fields) for service_id, fields in wanted]
    rest = iter(made)
    while part := list(islice(rest, _AT_ONCE)):
        _write(part)
    for check in made:
        told = {name: getattr(check, name) for name in OPEN_CHECK_FIELDS}
        after = {"service": check.service.name, **told, "url": shown_url(check.url)}
        record(actor=actor, action="check.created", target=check, after=after)
    for service_id in services:
        news.service_changed(service_id=service_id)
    return made


def _locked(keys: set[int]) -> dict[int, Service]:
    found: dict[int, Service] = {}
    ordered = iter(sorted(keys))
    while part := list(islice(ordered, _AT_ONCE)):
        rows = Service.objects.select_for_update(no_key=True).filter(pk__in=part).order_by("pk")
        found |= {service.pk: service for service in rows}
    if len(found) < len(keys):
        message = "A service was deleted meanwhile. Try again."
        raise NotFoundError(message)
    return found


def _write(part: list[Check]) -> None:
    now = timezone.now()
    Check.objects.bulk_create(part)
    CheckState.objects.bulk_create([CheckState(check_of=check, since=now) for check in part])
    StateSegment.objects.bulk_create(
        [
            StateSegment(
                check_of=check,
                standing="unknown",
                started_at=now,
                reason="created" if check.enabled else PAUSED,
            )
            for check in part
        ]
    )
