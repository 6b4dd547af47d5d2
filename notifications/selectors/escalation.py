"""Escalations as they are set up and as they run, for services, the tester and the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from django.contrib.auth import get_user_model

from core.actors import Actor, ActorKind
from notifications.models import (
    Channel,
    EscalationChain,
    EscalationRun,
    GroupMember,
    OnCallSchedule,
)
from notifications.models.events import Event
from notifications.selectors.people import gravity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

PAUSE_SECONDS: Final = 300
"""For how long the last step of a round waits for an answer."""


class Step(TypedDict):
    """One step as a run keeps it; ids as text, since the snapshot is JSON."""

    wait_seconds: int
    min_severity: str
    channels: list[str]
    people: list[str]
    schedules: list[int]


def snapshot(chain: EscalationChain) -> list[Step]:
    """Return the steps of a chain as they are now."""
    rows = chain.steps.order_by("position").prefetch_related("channels", "people", "schedules")
    return [
        Step(
            wait_seconds=step.wait_seconds,
            min_severity=step.min_severity,
            channels=[str(channel.pk) for channel in step.channels.all()],
            people=[str(person.pk) for person in step.people.all()],
            schedules=[schedule.pk for schedule in step.schedules.all()],
        )
        for step in rows
    ]


def applies(step: Step, severity: str) -> bool:
    """Tell whether a step is for alerts as grave as this."""
    return gravity(severity) >= gravity(step["min_severity"])


def in_words(steps: Sequence[Step], *, repeats: int, severity: str = "") -> list[str]:
    """Return each step as a sentence, with when it comes after the alert; then how it ends.

    With a severity, the steps that are not for it are left out.
    """
    names = _names(steps)
    told, waited = [], 0
    for step in steps:
        if severity and not applies(step, severity):
            continue
        waited += step["wait_seconds"]
        who = ", ".join(
            names.get(key, "somebody who is gone")
            for key in [
                *step["channels"],
                *step["people"],
                *(f"schedule:{pk}" for pk in step["schedules"]),
            ]
        )
        only = "" if severity or step["min_severity"] == Event.Severity.INFO else _only(step)
        when = f"After {duration(waited)}" if waited else "At once"
        told.append(f"{when}: tell {who or 'nobody'}{only}.")
    if told and repeats:
        times = "once" if repeats == 1 else f"{repeats} times"
        told.append(f"Then, after {duration(PAUSE_SECONDS)}, all of it again, {times}.")
    return told


def duration(seconds: int) -> str:
    """Return a time in words, such as "1 h 30 min"."""
    if seconds == 0:
        return "0 s"
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def active_runs(group_ids: Collection[int]) -> dict[int, EscalationRun]:
    """Return the escalations at work of these threads."""
    rows = EscalationRun.objects.filter(group__in=group_ids, state=EscalationRun.State.ACTIVE)
    return {run.group_id: run for run in rows}


def unanswered() -> Iterable[EscalationRun]:
    """Return the escalations of open threads that have ended without an answer, newest first."""
    return EscalationRun.objects.filter(
        state=EscalationRun.State.EXHAUSTED,
        group__closed_at=None,
        group__acked_at=None,
    ).select_related("group")


def carers(dedup_keys: Collection[str]) -> dict[str, Actor]:
    """Return who takes care of which of these alerts, as their open threads tell."""
    rows = GroupMember.objects.filter(
        dedup_key__in=dedup_keys,
        status=Event.Status.FIRING,
        acked_at__isnull=False,
        group__closed_at=None,
        group__acked_at__isnull=False,
    ).select_related("group")
    return {row.dedup_key: _actor(row.group) for row in rows if _counts(row)}


def uncared(dedup_keys: Collection[str]) -> set[str]:
    """Return those of these alerts that hold in an open thread and of which nobody takes care."""
    rows = GroupMember.objects.filter(
        dedup_key__in=dedup_keys, status=Event.Status.FIRING, group__closed_at=None
    )
    return {row.dedup_key for row in rows if not _counts(row)}


def _counts(member: GroupMember) -> bool:
    return member.acked_at is not None and member.acked_at >= member.since


def _actor(group: Any) -> Actor:  # noqa: ANN401  # a thread with who acknowledged it
    if group.acked_by_id is None:
        return Actor(ActorKind.SYSTEM, group.acked_name, group.acked_name)
    return Actor(ActorKind.USER, str(group.acked_by_id), group.acked_name, group.acked_by_id)


def _only(step: Step) -> str:
    if step["min_severity"] == Event.Severity.CRITICAL:
        return ", of critical alerts only"
    return ", of warnings and critical alerts only"


def _names(steps: Sequence[Step]) -> dict[str, str]:
    channels = {key for step in steps for key in step["channels"]}
    people = {key for step in steps for key in step["people"]}
    schedules = {key for step in steps for key in step["schedules"]}
    names: dict[str, str] = {}
    if channels:
        rows = Channel.objects.filter(pk__in=channels).values_list("pk", "name")
        names |= {str(pk): name for pk, name in rows}
    if people:
        users = get_user_model().objects.filter(pk__in=people)
        names |= {str(pk): name for pk, name in users.values_list("pk", "username")}
    if schedules:
        found = OnCallSchedule.objects.filter(pk__in=schedules).values_list("pk", "name")
        names |= {f"schedule:{pk}": f"who is on call in {name}" for pk, name in found}
    return names
