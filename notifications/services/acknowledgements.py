"""Acknowledgement: somebody takes care, so nobody else is called."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import record
from core.drill import is_drill
from core.errors import InvalidTransitionError, NotFoundError
from notifications import signals
from notifications.models import EscalationRun, Event, Group, GroupMember, Notification
from notifications.selectors.silenced import silenced_until
from notifications.services import escalation, outgoing
from notifications.services.escalation import one_by_one

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from django.db.models import QuerySet

    from core.actors import Actor

HOLDS: Final = timedelta(minutes=30)
"""For how long somebody takes care of a critical alert before people are told again."""

BATCH: Final = 100


@audited
def acknowledge(*, actor: Actor, group_id: int, by_link: Notification | None = None) -> Group:
    """Say that somebody takes care of all that holds in a thread; its escalation ends.

    `by_link` is the message whose link was used: it covers only what that message could tell of.

    Of a critical one it holds for half an hour; then people are told again. What stands above an
    alert, such as its incident, learns of it after the commit. Raises InvalidTransitionError if it
    is over, or if somebody has acknowledged it already.
    """
    group, others = _locked_together(group_id)
    if not group.is_open:
        message = "It is over already: there is nothing left to acknowledge."
        raise InvalidTransitionError(message)
    if group.acked_at is not None:
        message = f"{group.acked_name or 'Somebody'} has acknowledged it already."
        raise InvalidTransitionError(message)
    keys = list(_holding(group).order_by("pk").values_list("dedup_key", flat=True))
    if not keys:
        message = "Nothing of it holds any more: there is nothing left to acknowledge."
        raise InvalidTransitionError(message)
    if by_link is not None and joined_since(group, by_link):
        message = "Other alerts have joined it since this message was sent."
        raise InvalidTransitionError(message)
    now = timezone.now()
    _holding(group).update(acked_at=now, acked_severity=F("severity"))
    is_critical = group.severity == Event.Severity.CRITICAL
    until = now + HOLDS if is_critical else None
    _take_care(group, actor, at=now, until=until)
    for other in others:
        _cover(other, keys, actor, until=until)
    # Whoever reads a message that was passed on can use its link: the log tells that apart.
    way: dict[str, Any] = {"via": "link", "message": by_link.pk} if by_link is not None else {}
    record(actor=actor, action="alert.acknowledged", target=group, **way)
    told = partial(
        signals.acknowledged.send_robust,
        sender=Group,
        group_key=group.key.hex,
        dedup_keys=keys,
        actor=actor,
    )
    transaction.on_commit(told, robust=True)
    return group


def joined_since(group: Group, message: Notification) -> bool:
    """Tell whether alerts hold in a thread that a message of it could not tell of."""
    return _holding(group).filter(since__gt=message.created_at).exists()


def follow(*, dedup_key: str, actor: Actor, until: datetime | None = None) -> int:
    """Take over an acknowledgement that was given above; return how many threads it concerns.

    Runs in the caller's transaction. Without `until` it holds until the caller withdraws it. A
    thread that gathers more than this alert is left to be acknowledged for the rest.
    """
    count = 0
    for group in _threads(dedup_key):
        count += _cover(group, [dedup_key], actor, until=until)
        is_alone = not _holding(group).exclude(dedup_key=dedup_key).exists()
        # Who cares for this alert says nothing of the others: theirs runs out as it was.
        if group.acked_at is not None and is_alone:
            Group.objects.filter(pk=group.pk).update(ack_expires_at=until)
    return count


def _cover(
    group: Group, dedup_keys: Collection[str], actor: Actor, *, until: datetime | None
) -> int:
    """Note of which alerts of a thread somebody takes care; of the thread, if it is of all."""
    now = timezone.now()
    known = _holding(group).filter(dedup_key__in=dedup_keys)
    count = known.update(acked_at=now, acked_severity=F("severity"))
    if group.acked_at is None and not _holding(group).filter(escalation.UNKNOWN).exists():
        _take_care(group, actor, at=now, until=until)
    return count


def withdraw(dedup_key: str) -> int:
    """Take back an acknowledgement from above: people are called again; return in how many threads.

    Runs in the caller's transaction, which tells people why.
    """
    count = 0
    for group in _threads(dedup_key):
        GroupMember.objects.filter(group=group, dedup_key=dedup_key).update(acked_at=None)
        if group.acked_at is not None:
            escalation.forget_acknowledgement(group)
        if _holding(group).exists():
            count += escalation.resume(group) is not None
    return count


def expire() -> int:
    """Tell people again of what was acknowledged and is not over in time; return how many.

    Each in a transaction of its own: one that fails does not hold up the others.
    """
    if is_drill():
        return 0
    due = Group.objects.filter(ack_expires_at__lte=timezone.now())
    keys = list(due.order_by("ack_expires_at").values_list("pk", flat=True)[:BATCH])
    return one_by_one(_expire, keys)


@transaction.atomic
def _expire(group_id: int) -> bool:
    group = _locked(group_id)
    if group.ack_expires_at is None or group.ack_expires_at > timezone.now():
        return False
    carer = group.acked_name or "Somebody"
    if group.is_open and (until := silenced_until(group)) is not None:
        # What is silenced calls nobody; whoever takes care goes on doing so.
        Group.objects.filter(pk=group.pk).update(ack_expires_at=until)
        return False
    escalation.forget_acknowledgement(group)
    if not group.is_open or not _holding(group).exists():
        return False
    GroupMember.objects.filter(group=group).update(acked_at=None)
    if targets := outgoing.reached(group):
        note = f"{carer} has acknowledged this, and it is still not over."
        outgoing.enqueue(group, targets=targets, reason=Notification.Reason.ACK_EXPIRED, note=note)
    escalation.resume(group)
    return True


def _take_care(group: Group, actor: Actor, *, at: datetime, until: datetime | None) -> None:
    group.acked_at, group.ack_expires_at = at, until
    group.acked_by_id, group.acked_name = actor.user_id, actor.name[:200]
    group.save(update_fields=["acked_at", "ack_expires_at", "acked_by", "acked_name"])
    escalation.stop(group, EscalationRun.State.ACKNOWLEDGED)
    # Whoever acknowledges knows it.
    targets = [target for target in outgoing.reached(group) if not _is_of(target.user_id, actor)]
    if targets:
        note = f"{actor.name} takes care of it."
        outgoing.enqueue(group, targets=targets, reason=Notification.Reason.ACKNOWLEDGED, note=note)


def _is_of(user_id: object, actor: Actor) -> bool:
    return user_id is not None and user_id == actor.user_id


def _threads(dedup_key: str) -> list[Group]:
    """Return the open threads of an alert, locked in their order."""
    members = GroupMember.objects.filter(dedup_key=dedup_key).values("group")
    open_ones = Group.objects.select_for_update().filter(pk__in=members, closed_at=None)
    return list(open_ones.order_by("pk"))


def _locked_together(group_id: int) -> tuple[Group, list[Group]]:
    """Return a thread and the other open ones of its alerts, locked in their order."""
    keys = GroupMember.objects.filter(group=group_id, status=Event.Status.FIRING)
    same = GroupMember.objects.filter(
        dedup_key__in=keys.values("dedup_key"), status=Event.Status.FIRING
    )
    wanted = Q(pk=group_id) | Q(pk__in=same.values("group"), closed_at=None)
    groups = list(Group.objects.select_for_update().filter(wanted).order_by("pk"))
    found = next((group for group in groups if group.pk == group_id), None)
    if found is None:
        message = "There is no such thread."
        raise NotFoundError(message)
    return found, [group for group in groups if group.pk != group_id]


def _holding(group: Group) -> QuerySet[GroupMember]:
    return GroupMember.objects.filter(group=group, status=Event.Status.FIRING)


def _locked(group_id: int) -> Group:
    group = Group.objects.select_for_update().filter(pk=group_id).first()
    if group is None:
        message = "There is no such thread."
        raise NotFoundError(message)
    return group
