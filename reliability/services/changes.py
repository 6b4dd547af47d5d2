"""Record what changed: deploys and other acts of people and pipelines."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import record
from core.errors import InvalidInputError
from reliability.models import Change, Service
from reliability.services import news
from reliability.services.validation import validate

if TYPE_CHECKING:
    from datetime import datetime

    from core.actors import Actor

EARLIEST: Final = timedelta(days=30)
LATEST: Final = timedelta(minutes=5)
"""Clocks of other machines may be ahead by so much."""


@audited
def tell(
    *,
    actor: Actor,
    service_id: int | None,
    kind: str,
    title: str,
    version: str = "",
    url: str = "",
    external_key: str = "",
    at: datetime | None = None,
) -> Change:
    """Record a change of a service, or of everything; it stands beside later incidents.

    Whoever tells with a key that was told before gets what was told then.
    """
    if external_key and (told := _told(external_key)):
        return told
    now = timezone.now()
    _refuse_wrong_time(at, now)
    service = None
    if service_id is not None:
        # Its key stays free: others go on while this is written.
        service = Service.objects.filter(pk=service_id).first()
        if service is None:
            message = "There is no such service."
            raise InvalidInputError(message, errors={"service": [message]})
    change = Change(
        service=service,
        kind=kind,
        title=title.strip(),
        version=version.strip(),
        url=url.strip(),
        external_key=external_key.strip(),
        at=at or now,
        recorded_at=now,
        told_by=actor.name[:200],
    )
    validate(change)
    try:
        with transaction.atomic():
            change.save(force_insert=True)
    except IntegrityError:
        # Another transaction told it with the same key meanwhile.
        if told := _told(change.external_key):
            return told
        raise
    if service is not None:
        news.service_changed(service_id=service.pk)
    record(
        actor=actor,
        action="change.recorded",
        target=change,
        service=service.name if service else "",
        kind=change.kind,
    )
    return change


def _told(external_key: str) -> Change | None:
    found = Change.objects.select_related("service")
    return found.filter(external_key=external_key.strip()).first() if external_key else None


def _refuse_wrong_time(at: datetime | None, now: datetime) -> None:
    if at is not None and not now - EARLIEST <= at <= now + LATEST:
        message = f"A time within the last {EARLIEST.days} days, and not to come."
        raise InvalidInputError(message, errors={"at": [message]})
