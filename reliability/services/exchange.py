"""Take over a file of services and checks: all of it or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from audit.services.acts import audited
from audit.services.records import record
from core.errors import DomainError, InvalidInputError
from reliability.engine import exchange
from reliability.models import Check, Service
from reliability.selectors.exchange import PARENTS, folded, references
from reliability.services import catalogue, many_checks
from reliability.services.exchange_plan import plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from core.actors import Actor
    from reliability.engine.exchange import Row
    from reliability.services.exchange_plan import Act, Line, Plan

_NAMED: Final = 50


def rows_of(content: bytes, form: str) -> list[Row]:
    """Return the rows of a file; raises InvalidInputError that says what is wrong with it."""
    try:
        return exchange.read(exchange.text_of(content), form)
    except exchange.UnreadableError as error:
        raise InvalidInputError(str(error), errors={"file": [str(error)]}) from error
    except RecursionError as error:
        message = "Something in the file is nested too deep."
        raise InvalidInputError(message, errors={"file": [message]}) from error


@audited
def take_over(*, actor: Actor, rows: Sequence[Row]) -> Plan:
    """Add and change what the rows say, all or nothing; what they do not name stays as it is.

    Taking over the same rows again changes nothing. Raises InvalidInputError that names the lines.
    """
    made = plan(rows)
    if made.refused:
        message = "Nothing was taken over: some lines cannot be used."
        errors = {f"line {line.number}": [_told(line)] for line in made.refused[:_NAMED]}
        raise InvalidInputError(message, errors=errors)
    _apply(actor, made)
    counts = made.counts
    if counts["added"] or counts["changed"]:
        record(
            actor=actor,
            action="checks.imported",
            added=counts["added"],
            changed=counts["changed"],
            left=counts["left"],
        )
    return made


@audited
def note_export(*, actor: Actor, form: str) -> None:
    """Record that somebody takes the catalogue along."""
    record(
        actor=actor,
        action="checks.exported",
        form=form,
        services=Service.objects.count(),
        checks=Check.objects.count(),
    )


def _told(line: Line) -> str:
    name = f"{line.service}: {line.check}" if line.check else line.service
    return f"{name}: {line.text}" if name else line.text


def _apply(actor: Actor, made: Plan) -> None:
    services = dict(_keys_of_services(act.service for act in made.acts))
    many: list[tuple[Act, int]] = []
    waiting: list[tuple[Act, int]] = []
    for act in made.acts:
        try:
            if not act.check:
                services[act.service.casefold()] = _apply_service(actor, act)
                continue
            service_id = services[act.service.casefold()]
            if not act.key and act.values.get("kind") != Check.Kind.HEARTBEAT:
                many.append((act, service_id))
                continue
            key = _apply_check(actor, act, service_id)
        except DomainError as error:
            details = [text for texts in error.errors.values() for text in texts]
            message = f"Line {act.line}: {(details or [error.message])[0]}"
            raise InvalidInputError(message, errors={f"line {act.line}": [message]}) from error
        if act.parents is not None:
            waiting.append((act, key))
    added = many_checks.add(actor=actor, wanted=[(key, act.values) for act, key in many])
    waiting += [
        (act, check.pk)
        for (act, _), check in zip(many, added, strict=True)
        if act.parents is not None
    ]
    if waiting:
        # A parent may stand further down in the file.
        _apply_parents(actor, waiting)


def _apply_service(actor: Actor, act: Act) -> int:
    if act.key:
        catalogue.update_service(actor=actor, service_id=act.key, **act.values)
        return act.key
    return catalogue.create_service(actor=actor, **act.values).pk


def _apply_check(actor: Actor, act: Act, service_id: int) -> int:
    if not act.key:
        return catalogue.create_check(actor=actor, service_id=service_id, **act.values).pk
    if act.values:
        catalogue.update_check(actor=actor, check_id=act.key, **act.values)
    return act.key


def _apply_parents(actor: Actor, waiting: list[tuple[Act, int]]) -> None:
    found = dict(references())
    for act, key in waiting:
        parents: Any = {PARENTS: [found[folded(name)] for name in act.parents or []]}
        try:
            catalogue.update_check(actor=actor, check_id=key, **parents)
        except DomainError as error:
            message = f"Line {act.line}: {error.message}"
            raise InvalidInputError(message, errors={f"line {act.line}": [message]}) from error


def _keys_of_services(names: Iterable[str]) -> Iterator[tuple[str, int]]:
    wanted = {name.casefold() for name in names}
    for key, name in Service.objects.values_list("pk", "name"):
        if name.casefold() in wanted:
            yield name.casefold(), key
