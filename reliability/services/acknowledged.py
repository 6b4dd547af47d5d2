"""What was acknowledged in a message is acknowledged on its incident, and the other way round."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from core.actors import SYSTEM, Actor, ActorKind
from core.errors import InvalidTransitionError
from notifications.selectors import escalation
from notifications.services import acknowledgements
from reliability.models import Incident
from reliability.models.incidents import IS_OVER
from reliability.services import incidents
from reliability.services.timeline import outbox_key

if TYPE_CHECKING:
    from collections.abc import Collection

_State = Incident.State


def from_messages(*, dedup_keys: Collection[str], actor: Actor) -> int:
    """Acknowledge the incidents that these alerts belong to, as the person; return how many."""
    wanted = set(dedup_keys)
    waiting = Incident.objects.filter(state=_State.TRIGGERED)
    return sum(
        _acknowledge(incident, actor)
        for incident in waiting.order_by("pk")
        if outbox_key(incident) in wanted
    )


def keep_in_step() -> int:
    """Make good what got lost between incidents and threads; return how much that was.

    The signal of a message may die with its process, and an incident may be acknowledged before
    the thread of its messages is there.
    """
    rows = Incident.objects.exclude(IS_OVER).select_related("owner").order_by("pk")
    known = {outbox_key(incident): incident for incident in rows}
    waiting = {key for key, incident in known.items() if incident.state == _State.TRIGGERED}
    carers = escalation.carers(waiting) if waiting else {}
    count = sum(_acknowledge(known[key], actor) for key, actor in carers.items())
    cared = known.keys() - waiting
    for key in escalation.uncared(cared) if cared else ():
        count += bool(acknowledgements.follow(dedup_key=key, actor=_owner(known[key])))
    return count


def _acknowledge(incident: Incident, actor: Actor) -> bool:
    # Somebody may have been quicker.
    with suppress(InvalidTransitionError):
        incidents.acknowledge(actor=actor, incident_id=incident.pk)
        return True
    return False


def _owner(incident: Incident) -> Actor:
    person = incident.owner
    if person is None:
        return SYSTEM
    return Actor(ActorKind.USER, str(person.pk), person.get_username(), person.pk)
