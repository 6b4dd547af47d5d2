"""Threads as the router leaves them, for tests of what people do with them."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from audit.services.acts import unwatched
from core.actors import SYSTEM
from notifications.models import (
    Channel,
    EscalationChain,
    EscalationRun,
    Event,
    Group,
    GroupMember,
    Notification,
)
from notifications.services import chains, escalation
from notifications.services.emit import emit

if TYPE_CHECKING:
    from accounts.models import User

_numbers = itertools.count(1)


def thread(*keys: str, severity: str = "critical", **fields: Any) -> Group:
    """Return an open thread of which these alerts hold and were told."""
    keys = keys or (f"alert:{next(_numbers)}",)
    group = Group.objects.create(
        route_name="Everything else",
        group_key=f"key-{next(_numbers)}",
        title=fields.pop("title", f"{keys[0]} is down"),
        severity=severity,
        **fields,
    )
    for key in keys:
        member(group, key, severity=severity)
    return group


def member(group: Group, key: str, *, severity: str = "critical") -> GroupMember:
    """Add an alert that holds to a thread."""
    event = emit(
        actor=SYSTEM,
        kind="check.down",
        severity=severity,
        status="firing",
        dedup_key=key,
        transition_seq=next(_numbers),
        title=f"{key} is down",
        service="shop",
    )
    Event.objects.filter(pk=event.pk).update(routed_at=timezone.now(), routing="routed")
    return GroupMember.objects.create(
        group=group,
        dedup_key=key,
        event=event,
        status=Event.Status.FIRING,
        severity=severity,
        since=timezone.now(),
        told=GroupMember.Told.FIRING,
        told_event_id=event.pk,
    )


def chain(*steps: dict[str, Any], repeats: int = 0, name: str = "Duty") -> EscalationChain:
    """Return an escalation with these steps; by hand, each waits a minute."""
    given: Any = [{"wait_seconds": 60, **step} for step in steps]
    return chains.create(actor=SYSTEM, name=name, steps=given, repeats=repeats)


def people_mail() -> Channel:
    """Return the channel that mails people at their own addresses."""
    with unwatched("set-up of a test"):
        return Channel.objects.create(
            kind="email",
            name="E-mail to people",
            target="own addresses",
            config={"recipients": []},
            is_for_people=True,
        )


def begin(group: Group, escalates: EscalationChain) -> EscalationRun:
    """Begin the escalation of a thread, as the router does after it has told the first ones."""
    run = escalation.start(group, escalates)
    assert run is not None
    return run


def pass_time(run: EscalationRun) -> EscalationRun:
    """Let the time of the next step come, and take what is due; return how the run stands then."""
    past = timezone.now() - timedelta(seconds=1)
    EscalationRun.objects.filter(pk=run.pk, state="active").update(next_step_at=past)
    escalation.tick()
    return EscalationRun.objects.get(pk=run.pk)


def told(group: Group) -> list[tuple[str, str, str]]:
    """Return reason, channel and recipient of every message of a thread, in their order."""
    rows = Notification.objects.filter(group=group).order_by("seq", "pk")
    return list(rows.values_list("reason", "channel_name", "recipient"))


def person(make_user: Any, name: str, role: str = "operator") -> User:
    """Return a person who may see and acknowledge alerts."""
    made: User = make_user(role=role, username=name, email=f"{name}@example.com")
    return made
