"""Plan maintenance, change and cancel it, and tell when it begins and ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import changes, record
from core.actors import Actor
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from notifications.engine.base import storable
from notifications.services.emit import emit
from reliability.engine.recurrence import MOST_TIMES, Plan
from reliability.models import MaintenanceOccurrence, MaintenanceWindow, Service
from reliability.services import news
from reliability.services.validation import validate

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ACTOR: Final = Actor.schedule("maintenance")
KIND: Final = "reliability.maintenance"
AHEAD: Final = timedelta(days=60)
"""How far ahead the times are planned."""
MOST_RETROACTIVE: Final = timedelta(days=7)
TOLERANCE: Final = timedelta(minutes=5)
"""How old "now" may be by the time a form arrives."""

_PLAN_FROM: Final = timedelta(days=59)
_FAR: Final = timedelta(days=5 * 366)
_INSTANT: Final = timedelta(microseconds=1)
_NAMED: Final = 5


class MaintenanceFields(TypedDict, total=False):
    """What may be set on a window; `services` is a list of ids, and none means every service."""

    title: str
    description: str
    services: Collection[int]
    repeat: str
    starts_at: datetime
    duration_seconds: int
    time_zone: str
    every: int
    weekdays: list[int]
    month_days: list[int]
    cron: str
    until: datetime | None
    count: int | None
    is_public: bool
    reason: str


MAINTENANCE_FIELDS: Final = tuple(MaintenanceFields.__annotations__)
_OPEN: Final = tuple(name for name in MAINTENANCE_FIELDS if name != "services")
_TIMING: Final = frozenset(_OPEN) - {"title", "description", "is_public", "reason"}


def plan_of(window: MaintenanceWindow) -> Plan:
    """Return when a window holds."""
    return Plan(
        repeat=window.repeat,
        starts_at=window.starts_at,
        duration=timedelta(seconds=window.duration_seconds),
        zone=window.time_zone,
        every=window.every,
        weekdays=tuple(window.weekdays),
        month_days=tuple(window.month_days),
        cron=window.cron,
        until=window.until,
        count=window.count,
    )


def preview(
    *, most: int = 10, now: datetime | None = None, **fields: Unpack[MaintenanceFields]
) -> list[tuple[datetime, datetime]]:
    """Return the next times of a window that nobody has saved; raises InvalidInputError."""
    when = now or timezone.now()
    window = MaintenanceWindow(declared_by="nobody")
    _fill(window, fields)
    validate(window)
    found = plan_of(window).times(after=_earliest(window, when), before=when + _FAR)
    return found[:most]


@audited
def declare(*, actor: Actor, **fields: Unpack[MaintenanceFields]) -> MaintenanceWindow:
    """Declare maintenance.

    What began before now, by at most a week, needs a reason: it takes time out of figures that
    people may have seen. Objectives that were noted down before stay as they are.
    """
    now = timezone.now()
    window = MaintenanceWindow(declared_by=actor.name[:200])
    _fill(window, fields)
    validate(window)
    service_ids = _services(fields.get("services", ()))
    _refuse_past(window, now)
    _refuse_never(window, now)
    window.save(force_insert=True)
    window.services.set(service_ids)
    _plan(window, now)
    _told_everybody(service_ids)
    record(
        actor=actor,
        action="maintenance.declared",
        target=window,
        after=_told(window, service_ids),
        reason=window.reason,
    )
    return window


@audited
def change(
    *, actor: Actor, window_id: int, **fields: Unpack[MaintenanceFields]
) -> MaintenanceWindow:
    """Change a window; what has ended stays, a time that holds now is made longer or shorter."""
    now = timezone.now()
    window = _locked(window_id)
    _refuse_cancelled(window)
    known = list(window.services.order_by("pk").values_list("pk", flat=True))
    before = _told(window, known)
    _fill(window, fields)
    service_ids = _services(fields["services"]) if "services" in fields else known
    old, new = changes(before, _told(window, service_ids))
    if not new:
        return window
    validate(window)
    is_replanned = bool(_TIMING & set(new))
    if is_replanned and {"starts_at", "repeat"} & set(new):
        _refuse_past(window, now)
    if is_replanned:
        _refuse_never(window, now)
    if service_ids != known:
        _refuse_begun(window, now, "Its services cannot change")
        window.services.set(service_ids)
    window.save(force_update=True)
    if is_replanned:
        _replan(window, now)
    _told_everybody({*known, *service_ids})
    record(actor=actor, action="maintenance.changed", target=window, before=old, after=new)
    return window


@audited
def cancel(*, actor: Actor, window_id: int) -> MaintenanceWindow:
    """Cancel what is still to come, and end now what holds; the past stays as it was."""
    now = timezone.now()
    window = _locked(window_id)
    _refuse_cancelled(window)
    window.cancelled_at = now
    window.save(force_update=True, update_fields=["cancelled_at"])
    window.occurrences.filter(starts_at__gte=now).delete()
    # The sweep tells of the end, and lets the alerts go that still hold.
    window.occurrences.filter(ends_at__gt=now).update(ends_at=now)
    _told_everybody(list(window.services.values_list("pk", flat=True)))
    record(actor=actor, action="maintenance.cancelled", target=window)
    return window


@audited
def delete(*, actor: Actor, window_id: int) -> None:
    """Delete a window that never began; what has begun is part of the figures and stays."""
    window = _locked(window_id)
    _refuse_begun(window, timezone.now(), "It cannot be deleted")
    service_ids = list(window.services.order_by("pk").values_list("pk", flat=True))
    record(
        actor=actor,
        action="maintenance.deleted",
        target=window,
        before=_told(window, service_ids),
    )
    window.delete()


def plan_ahead(*, now: datetime | None = None) -> int:
    """Plan the times that have come within reach; return how many windows were looked at."""
    when = now or timezone.now()
    due = MaintenanceWindow.objects.filter(
        cancelled_at=None, planned_until__lt=when + _PLAN_FROM
    ).exclude(repeat=MaintenanceWindow.Repeat.ONCE)
    keys = list(due.order_by("pk").values_list("pk", flat=True))
    for key in keys:
        with transaction.atomic():
            # Somebody may have cancelled or deleted it since it was found.
            window = due.select_for_update(of=("self",)).filter(pk=key).first()
            if window is not None:
                _plan(window, when)
    return len(keys)


def tell_turns(*, now: datetime | None = None) -> int:
    """Tell which maintenance has begun and which has ended; return how many turns were told.

    What still fails at the end is told by the release of alerts that comes after this.
    """
    when = now or timezone.now()
    found = MaintenanceOccurrence.objects.filter(starts_at__lte=when)
    begun = found.filter(begun=False).order_by("starts_at").values_list("pk", flat=True)
    told = sum(_begin(key, when) for key in list(begun))
    ended = found.filter(begun=True, ended=False, ends_at__lte=when).order_by("ends_at")
    return told + sum(_end(key, when) for key in list(ended.values_list("pk", flat=True)))


@transaction.atomic
def _begin(key: int, now: datetime) -> bool:
    if not MaintenanceOccurrence.objects.filter(pk=key, begun=False).update(begun=True):
        return False
    # It may have been cancelled, or made longer, since it was found.
    occurrence = MaintenanceOccurrence.objects.select_related("window").get(pk=key)
    if occurrence.ends_at <= now:
        # Over before anybody could be told: its end alone is told.
        return False
    _tell(occurrence, "begun", f"Until {occurrence.ends_at:%Y-%m-%d %H:%M} UTC nobody is alerted.")
    return True


@transaction.atomic
def _end(key: int, now: datetime) -> bool:
    # It may have been made longer since it was found.
    over = MaintenanceOccurrence.objects.filter(pk=key, ended=False, ends_at__lte=now)
    if not over.update(ended=True):
        return False
    occurrence = MaintenanceOccurrence.objects.select_related("window").get(pk=key)
    _tell(occurrence, "ended", f"It held {occurrence}, UTC. What still fails is told now.")
    return True


def _tell(occurrence: MaintenanceOccurrence, what: str, then: str) -> None:
    window = occurrence.window
    names = list(window.services.order_by("name").values_list("name", flat=True)[: _NAMED + 1])
    shown = ", ".join(names[:_NAMED]) + (" and more" if len(names) > _NAMED else "")
    body = f"{shown or 'Every service'}. {then}"
    emit(
        actor=ACTOR,
        kind=KIND,
        severity="info",
        status="info",
        dedup_key=f"maintenance:{occurrence.pk}",
        transition_seq=1 if what == "begun" else 2,
        title=f"Maintenance has {what}: {window.title}",
        body=f"{window.description}\n\n{body}".strip(),
        service=names[0] if len(names) == 1 else "",
        labels={"maintenance": str(window.pk)},
    )
    record(actor=ACTOR, action=f"maintenance.{what}", target=window)
    _told_everybody(list(window.services.values_list("pk", flat=True)))


def _told_everybody(service_ids: Collection[int]) -> None:
    """Let the pages of these services read themselves anew."""
    for service_id in sorted(service_ids)[:MOST_TIMES]:
        news.service_changed(service_id=service_id)


def _fill(window: MaintenanceWindow, fields: Mapping[str, Any]) -> None:
    for name in _OPEN:
        if name in fields:
            value = fields[name]
            setattr(window, name, value.strip() if isinstance(value, str) else value)
    # It stands in messages and in the public feed, which hold no control characters.
    window.description = storable(window.description, limit=len(window.description))


def _services(keys: Collection[int]) -> list[int]:
    wanted = sorted(set(keys))
    found = list(Service.objects.filter(pk__in=wanted).order_by("pk").values_list("pk", flat=True))
    if found != wanted:
        _refuse("services", "There is no such service.")
    return found


def _earliest(window: MaintenanceWindow, now: datetime) -> datetime:
    """Return after which moment times are planned: one that began before needs a reason."""
    back = MOST_RETROACTIVE if window.reason else TOLERANCE
    return now - back - _INSTANT


def _refuse_past(window: MaintenanceWindow, now: datetime) -> None:
    if window.repeat != MaintenanceWindow.Repeat.ONCE or window.starts_at >= now - TOLERANCE:
        return
    if window.starts_at < now - MOST_RETROACTIVE:
        _refuse("starts_at", "Maintenance can be declared at most 7 days after it began.")
    if not window.reason:
        _refuse("reason", "It began before now: say why it was not declared in time.")


def _refuse_never(window: MaintenanceWindow, now: datetime) -> None:
    if window.until is not None and window.until < window.starts_at:
        _refuse("until", "It ends before it begins.")
    # One time alone is judged by its beginning, and may hold already.
    if window.repeat == MaintenanceWindow.Repeat.ONCE:
        return
    if not plan_of(window).times(after=_earliest(window, now), before=now + _FAR):
        _refuse("starts_at", "No time of it comes within the next years.")


def _refuse_cancelled(window: MaintenanceWindow) -> None:
    if window.cancelled_at is not None:
        message = "This maintenance is cancelled already."
        raise InvalidTransitionError(message)


def _refuse_begun(window: MaintenanceWindow, now: datetime, what: str) -> None:
    if window.occurrences.filter(starts_at__lte=now).exists():
        message = (
            f"{what}: some of it has begun and is part of the figures. Cancel it, and declare "
            "another."
        )
        raise InvalidTransitionError(message)


def _refuse(field: str, message: str) -> None:
    raise InvalidInputError(message, errors={field: [message]})


def _plan(window: MaintenanceWindow, now: datetime) -> None:
    """Write the times that are missing, up to 60 days ahead; each once, however often it is run."""
    after = _earliest(window, now)
    if window.planned_until is not None:
        after = max(after, window.planned_until)
    before = now + AHEAD
    if window.repeat == MaintenanceWindow.Repeat.ONCE:
        # Whoever declares it for next year sees it in the calendar at once.
        before = max(before, window.starts_at + timedelta(seconds=1))
    found = plan_of(window).times(after=after, before=before)
    MaintenanceOccurrence.objects.bulk_create(
        (
            MaintenanceOccurrence(
                window=window,
                starts_at=start,
                ends_at=end,
                # Nobody is told that something begins which is over.
                begun=end <= now,
                ended=end <= now,
            )
            for start, end in found
        ),
        ignore_conflicts=True,
    )
    # One that comes so often that not all fits is planned on from its last time.
    window.planned_until = found[-1][0] if len(found) == MOST_TIMES else before
    window.save(force_update=True, update_fields=["planned_until"])


def _replan(window: MaintenanceWindow, now: datetime) -> None:
    window.occurrences.filter(starts_at__gt=now).delete()
    is_once = window.repeat == MaintenanceWindow.Repeat.ONCE
    # The past of one that comes again stays as it was lived through.
    window.planned_until = None if is_once else now
    plan = plan_of(window)
    for held in window.occurrences.filter(ends_at__gt=now):
        just_before = held.starts_at - _INSTANT
        same = plan.times(after=just_before, before=held.starts_at + _INSTANT)
        held.ends_at = max(same[0][1] if same else now, now, held.starts_at + _INSTANT)
        held.save(force_update=True, update_fields=["ends_at"])
    _plan(window, now)


def _locked(window_id: int) -> MaintenanceWindow:
    window = MaintenanceWindow.objects.select_for_update(of=("self",)).filter(pk=window_id).first()
    if window is None:
        message = "There is no such maintenance."
        raise NotFoundError(message)
    return window


def _told(window: MaintenanceWindow, service_ids: Collection[int]) -> dict[str, Any]:
    shown = {name: getattr(window, name) for name in _OPEN}
    for name in ("starts_at", "until"):
        shown[name] = shown[name].isoformat() if shown[name] is not None else None
    return {**shown, "services": sorted(service_ids)}
