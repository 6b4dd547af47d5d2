"""Escalation: tell the next ones while nobody acknowledges."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from core.drill import is_drill
from notifications.engine.audiences import ALERTS
from notifications.models import (
    Channel,
    EscalationRun,
    Event,
    Group,
    GroupMember,
    Notification,
    OnCallSchedule,
)
from notifications.selectors import escalation as selectors
from notifications.selectors import oncall
from notifications.selectors.people import gravity, targets_of, why_unreachable
from notifications.selectors.silenced import silenced_until
from notifications.selectors.targets import targets_of_channels
from notifications.services import live, outgoing
from notifications.services.live import News

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from accounts.models import User
    from notifications.models import EscalationChain
    from notifications.selectors.escalation import Step
    from notifications.selectors.targets import Target

logger = logging.getLogger(__name__)

BATCH: Final = 100
SILENCED: Final = "Everything that holds is silenced, so nobody was told."
_LOG_KEPT: Final = 100
_REASON: Final = Notification.Reason.ESCALATION
_State = EscalationRun.State
_CRITICAL: Final = Event.Severity.CRITICAL

UNKNOWN: Final = (
    Q(acked_at__isnull=True)
    | Q(acked_at__lt=F("since"))
    | Q(severity=_CRITICAL, acked_severity__in=[Event.Severity.INFO, Event.Severity.WARNING])
)
"""Alerts that no acknowledgement covers: new since it was given, or critical only since then."""


def start(group: Group, chain: EscalationChain | None) -> EscalationRun | None:
    """Begin an escalation where one is needed; the caller holds the lock of the group.

    Called each time that people are told of something that holds. One at work goes on; one that
    was answered begins anew only for a critical alert that nobody knew then, which also takes back
    the acknowledgement; one that ended without an answer, for any new or graver alert. Without a
    chain only the acknowledgement is taken back.
    """
    if not _is_needed(group, EscalationRun.objects.filter(group=group).order_by("-pk").first()):
        return None
    if group.acked_at is not None:
        forget_acknowledgement(group)
    if chain is None:
        return None
    return _begin(group, chain.name, selectors.snapshot(chain), chain.repeats)


def resume(group: Group) -> EscalationRun | None:
    """Begin the newest escalation of a group again, as it was set up; the group is locked."""
    last = EscalationRun.objects.filter(group=group).order_by("-pk").first()
    if last is None or last.state == _State.ACTIVE:
        return None
    return _begin(group, last.chain_name, last.steps, last.repeats)


def stop(group: Group, state: str = _State.RESOLVED) -> bool:
    """End the escalation of a group, if one is at work; its group is locked."""
    ended = EscalationRun.objects.filter(group=group, state=_State.ACTIVE).update(
        state=state, next_step_at=None, ended_at=timezone.now()
    )
    return bool(ended)


def forget_acknowledgement(group: Group) -> None:
    """Take back that somebody takes care; the group is locked."""
    group.acked_at = group.acked_by = group.ack_expires_at = None
    group.acked_name = ""
    group.save(update_fields=["acked_at", "acked_by", "ack_expires_at", "acked_name"])


def tick() -> int:
    """Take every step that is due; return how many escalations moved.

    Each in a transaction of its own: one that fails does not hold up the others.
    """
    if is_drill():
        return 0
    due = EscalationRun.objects.filter(state=_State.ACTIVE, next_step_at__lte=timezone.now())
    return one_by_one(_move, due.order_by("next_step_at").values_list("pk", flat=True)[:BATCH])


def one_by_one(act: Callable[[int], bool], keys: Iterable[int]) -> int:
    """Do something for each key and return for how many it was done.

    One that fails does not hold up the others; the first failure is raised at the end.
    """
    count = 0
    trouble: Exception | None = None
    for key in list(keys):
        try:
            count += act(key)
        except (InterfaceError, OperationalError):
            # The database is away, which concerns them all.
            raise
        except Exception as error:
            logger.exception("%s failed for %s.", act.__name__, key)
            trouble = trouble or error
    if trouble is not None:
        raise trouble
    return count


@transaction.atomic
def _move(run_id: int) -> bool:
    group_id = EscalationRun.objects.values_list("group", flat=True).get(pk=run_id)
    # The group first, as everybody does who writes here. Another process may be at it.
    can_skip = connection.features.has_select_for_update_skip_locked
    groups = Group.objects.select_for_update(skip_locked=can_skip, of=("self",))
    group = groups.filter(pk=group_id).first()
    if group is None:
        return False
    now = timezone.now()
    run = EscalationRun.objects.filter(
        pk=run_id, state=_State.ACTIVE, next_step_at__lte=now
    ).first()
    if run is None:
        return False
    if not group.is_open or not _holding(group).exists():
        # Its end is on its way to people, and what comes back begins anew.
        return stop(group)
    until = silenced_until(group)
    if until is not None:
        run.next_step_at = until
        if not run.log or run.log[-1]["why"] != SILENCED:
            _note(run, now, step=0, told=[], why=SILENCED)
    else:
        _advance(run, group, now)
    run.log = run.log[-_LOG_KEPT:]
    run.save()
    return True


def _advance(run: EscalationRun, group: Group, now: datetime) -> None:
    """Take steps until one has told somebody, or the round is over.

    A step that reaches nobody is not waited for: the next comes at once. A round that has reached
    nobody tells every shared channel.
    """
    steps: list[Step] = run.steps
    while True:
        index = _next(steps, run.position, group.severity)
        if index is not None:
            run.position = index + 1
            if told := _take(run, group, index, now):
                run.told += told
                run.next_step_at = now + timedelta(seconds=_wait(steps, index, group.severity))
                return
        elif not run.told and run.position <= len(steps):
            run.told = _tell_everybody(run, group, now)
            run.position = len(steps) + 1
            run.next_step_at = now + timedelta(seconds=selectors.PAUSE_SECONDS)
            return
        elif _is_graver(group, run):
            # Steps that are only for what is so grave were left out.
            run.severity = group.severity
            run.position = run.told = 0
        elif not run.repeats_left:
            _end_unanswered(run, group, now)
            return
        else:
            run.repeats_left -= 1
            run.position = run.told = 0


def _next(steps: list[Step], position: int, severity: str) -> int | None:
    """Return the next step that is for alerts as grave as this."""
    wanted = range(position, len(steps))
    return next((index for index in wanted if selectors.applies(steps[index], severity)), None)


def _wait(steps: list[Step], index: int, severity: str) -> int:
    after = _next(steps, index + 1, severity)
    return steps[after]["wait_seconds"] if after is not None else selectors.PAUSE_SECONDS


def _take(run: EscalationRun, group: Group, index: int, now: datetime) -> int:
    """Tell those of one step; return how many messages that makes."""
    name = f"Step {index + 1} of {run.chain_name}"
    targets, gaps = _targets(run.steps[index], group.severity, now)
    told: list[Notification] = []
    if targets:
        note = f"Nobody has acknowledged this yet. {name}."
        told = outgoing.enqueue(group, targets=targets, reason=_REASON, note=note)
    if not told:
        why = f"{name} reached nobody: {'; '.join(gaps) or 'it names nobody'}."
        outgoing.note_unsent(group, reason=_REASON, why=why)
    _note(run, now, step=index + 1, told=told, why="; ".join(gaps))
    return len(told)


def _tell_everybody(run: EscalationRun, group: Group, now: datetime) -> int:
    """Tell every shared channel, since the escalation itself has reached nobody."""
    shared = Channel.objects.filter(enabled=True, is_for_people=False).order_by("name")
    targets = targets_of_channels(shared)
    told: list[Notification] = []
    if targets:
        note = f"The escalation {run.chain_name} reaches nobody, so every channel is told."
        told = outgoing.enqueue(group, targets=targets, reason=_REASON, note=note)
    _note(run, now, step=0, told=told, why="The steps reached nobody, so every channel was told.")
    return len(told)


def _targets(step: Step, severity: str, now: datetime) -> tuple[list[Target], list[str]]:
    """Return whom a step reaches, and in words whom it does not."""
    gaps: list[str] = []
    channels = {str(row.pk): row for row in Channel.objects.filter(pk__in=step["channels"])}
    found: list[Target] = []
    for key in step["channels"]:
        channel = channels.get(key)
        reached = targets_of_channels([channel]) if channel is not None else []
        if not reached:
            gaps.append(f"{channel} is switched off" if channel else "a channel is gone")
        found += reached
    people = _people(step, now, gaps)
    for person in people:
        own = targets_of([person.pk], severity)
        if not own:
            gaps.append(why_unreachable(person, severity))
        found += own
    # Whose own address also stands in a shared channel is told in person.
    return list({(target.channel.pk, target.recipient): target for target in found}.values()), gaps


def _people(step: Step, now: datetime, gaps: list[str]) -> list[User]:
    named = [UUID(key) for key in step["people"]]
    known = get_user_model().objects.in_bulk(named)
    people = [known[key] for key in named if key in known]
    if len(people) < len(named):
        gaps.append("a person is gone")
    schedules = OnCallSchedule.objects.in_bulk(step["schedules"])
    for key in step["schedules"]:
        schedule = schedules.get(key)
        person = oncall.who(key, now) if schedule is not None else None
        if person is not None:
            people.append(person)
        else:
            gaps.append(f"nobody is on call in {schedule}" if schedule else "a schedule is gone")
    return list(dict.fromkeys(people))


def _end_unanswered(run: EscalationRun, group: Group, now: datetime) -> None:
    run.state, run.next_step_at, run.ended_at = _State.EXHAUSTED, None, now
    text = f"Everybody of {run.chain_name} was told, and nobody has acknowledged it."
    _note(run, now, step=0, told=[], why=text)
    data = {
        "title": group.title,
        "severity": group.severity,
        "status": Event.Status.FIRING.value,
        "text": text,
        "group": group.pk,
        "url": reverse("admin:notifications_group_change", args=[group.pk]),
    }
    # Last, so that the lock on the feed is held for the shortest time.
    live.append([News(ALERTS, "escalation", data)])


def _note(
    run: EscalationRun, now: datetime, *, step: int, told: list[Notification], why: str
) -> None:
    run.log.append(
        {"at": now.isoformat(), "step": step, "told": len(told), "names": _names(told), "why": why}
    )


def _names(told: list[Notification]) -> list[str]:
    """Return whom messages are for, each once: the person, or the channel that others share."""
    people = get_user_model().objects.in_bulk({row.user_id for row in told if row.user_id})
    names = [
        str(people[row.user_id]) if row.user_id in people else row.channel_name for row in told
    ]
    return list(dict.fromkeys(names))


def _begin(group: Group, name: str, steps: list[Step], repeats: int) -> EscalationRun | None:
    """Add a run, unless no step is for alerts as grave as this."""
    first = _next(steps, 0, group.severity)
    if first is None:
        return None
    return EscalationRun.objects.create(
        group=group,
        chain_name=name,
        steps=steps,
        severity=group.severity,
        repeats=repeats,
        repeats_left=repeats,
        next_step_at=timezone.now() + timedelta(seconds=steps[first]["wait_seconds"]),
    )


def _is_needed(group: Group, last: EscalationRun | None) -> bool:
    if last is not None and last.state == _State.ACTIVE:
        return False
    if group.acked_at is not None:
        unknown = _holding(group).filter(UNKNOWN)
        # What was over and came again is known to nobody.
        if last is None or last.state != _State.RESOLVED:
            unknown = unknown.filter(severity=Event.Severity.CRITICAL)
        return unknown.exists()
    if last is not None and last.state == _State.EXHAUSTED:
        is_new = _holding(group).filter(since__gt=last.ended_at).exists()
        return is_new or _is_graver(group, last)
    return True


def _is_graver(group: Group, run: EscalationRun) -> bool:
    return bool(run.severity) and gravity(group.severity) > gravity(run.severity)


def _holding(group: Group) -> QuerySet[GroupMember]:
    return GroupMember.objects.filter(group=group, status=Event.Status.FIRING)
