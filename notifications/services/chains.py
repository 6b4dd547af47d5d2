"""Escalations are set up: a name, and steps that say whom to tell after which time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from audit.services.acts import audited
from audit.services.records import changes, record
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from notifications.engine.base import single_line, storable
from notifications.models import Channel, EscalationChain, EscalationStep, Event, OnCallSchedule
from notifications.models.escalation import MOST_REPEATS
from notifications.selectors import escalation as selectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from core.actors import Actor

MOST_STEPS: Final = 20
LONGEST_WAIT: Final = 86_400
LONGEST_NAME: Final = 100
_UNUSABLE: Final = "The escalation cannot be set up like this."


class StepFields(TypedDict, total=False):
    """One step as doors hand it over: seconds, a severity, and keys of whom to tell."""

    wait_seconds: int
    min_severity: str
    channels: Sequence[UUID]
    people: Sequence[UUID]
    schedules: Sequence[int]


@audited
def create(
    *, actor: Actor, name: str, steps: Sequence[StepFields], repeats: int = 1
) -> EscalationChain:
    """Add an escalation; raises InvalidInputError, with errors per step, such as `steps.2`."""
    name = _judged(name, repeats, steps)
    chain = EscalationChain(name=name, repeats=repeats)
    _save(chain)
    _write(chain, steps)
    record(actor=actor, action="escalation.created", target=chain, after=shown(chain))
    return chain


@audited
def update(
    *, actor: Actor, chain_id: int, name: str, steps: Sequence[StepFields], repeats: int
) -> EscalationChain:
    """Change an escalation and all of its steps; those at work keep what they began with."""
    chain = _locked(chain_id)
    before = shown(chain)
    chain.name, chain.repeats = _judged(name, repeats, steps), repeats
    _save(chain)
    chain.steps.all().delete()
    _write(chain, steps)
    old, new = changes(before, shown(chain))
    record(actor=actor, action="escalation.updated", target=chain, before=old, after=new)
    return chain


@audited
def delete(*, actor: Actor, chain_id: int) -> None:
    """Delete an escalation that no route uses; those at work go on."""
    chain = _locked(chain_id)
    if routes := list(chain.routes.order_by("name").values_list("name", flat=True)[:5]):
        message = f"A route escalates by it: {', '.join(routes)}. Choose another one there first."
        raise InvalidTransitionError(message)
    record(actor=actor, action="escalation.deleted", target=chain, before=shown(chain))
    chain.delete()


def shown(chain: EscalationChain) -> dict[str, object]:
    """Return an escalation as the audit log tells it."""
    steps = selectors.snapshot(chain)
    words = selectors.in_words(steps, repeats=chain.repeats)
    return {"name": chain.name, "repeats": chain.repeats, "steps": words}


def _judged(name: str, repeats: int, steps: Sequence[StepFields]) -> str:
    errors: dict[str, list[str]] = {}
    line = single_line(storable(name, limit=LONGEST_NAME * 4), limit=LONGEST_NAME * 4)
    if not 0 < len(line) <= LONGEST_NAME:
        errors["name"] = [f"A name has 1 to {LONGEST_NAME} characters."]
    if not 0 <= repeats <= MOST_REPEATS:
        errors["repeats"] = [f"A number from 0 to {MOST_REPEATS}."]
    if not 0 < len(steps) <= MOST_STEPS:
        errors["steps"] = [f"An escalation has 1 to {MOST_STEPS} steps."]
    for number, step in enumerate(steps[:MOST_STEPS], start=1):
        if problem := _problem(step):
            errors[f"steps.{number}"] = [f"Step {number}: {problem}"]
    if errors:
        raise InvalidInputError(_UNUSABLE, errors=errors)
    return line


def _problem(step: StepFields) -> str:
    if not 0 <= step.get("wait_seconds", 300) <= LONGEST_WAIT:
        return "it waits from 0 seconds to a day."
    if step.get("min_severity", Event.Severity.INFO) not in Event.Severity.values:
        return f"its severity is one of {', '.join(Event.Severity.values)}."
    if not (step.get("channels") or step.get("people") or step.get("schedules")):
        return "name whom it tells: a channel, a person or a schedule."
    if not _are_there(Channel.objects, step.get("channels", ())):
        return "there is no such channel."
    people = get_user_model().objects.filter(is_active=True)
    if not _are_there(people, step.get("people", ())):
        return "there is no such active person."
    if not _are_there(OnCallSchedule.objects, step.get("schedules", ())):
        return "there is no such schedule."
    return ""


def _are_there(rows: Any, keys: Iterable[object]) -> bool:  # noqa: ANN401  # a queryset or manager
    wanted = set(keys)
    return not wanted or rows.filter(pk__in=wanted).count() == len(wanted)


def _write(chain: EscalationChain, steps: Sequence[Mapping[str, Any]]) -> None:
    for position, given in enumerate(steps, start=1):
        step = EscalationStep.objects.create(
            chain=chain,
            position=position,
            wait_seconds=given.get("wait_seconds", 300),
            min_severity=given.get("min_severity", Event.Severity.INFO),
        )
        step.channels.set(given.get("channels", ()))
        step.people.set(given.get("people", ()))
        step.schedules.set(given.get("schedules", ()))


def _save(chain: EscalationChain) -> None:
    try:
        with transaction.atomic():
            chain.save()
    except IntegrityError:
        message = "There is an escalation of this name."
        raise InvalidInputError(_UNUSABLE, errors={"name": [message]}) from None


def _locked(chain_id: int) -> EscalationChain:
    chain = EscalationChain.objects.select_for_update().filter(pk=chain_id).first()
    if chain is None:
        message = "There is no such escalation."
        raise NotFoundError(message)
    return chain
