"""Routes: audited changes of who is told of what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import changes, record
from core.actors import SYSTEM
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from notifications.engine import matching
from notifications.models import Channel, EscalationChain, Group, Route
from notifications.selectors.routing import unsaved_default

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from core.actors import Actor

MOST_ROUTES: Final = 200
STEP: Final = 10
"""Positions are numbered in such steps, so that one can be put between two others."""

_UNUSABLE: Final = "The route cannot be used like this."


class RouteFields(TypedDict, total=False):
    """What may be set on a route; `channels` are ids, and `chain` is one or None."""

    name: str
    enabled: bool
    matchers: Sequence[Mapping[str, Any]]
    go_on: bool
    channels: Sequence[UUID]
    chain: int | None
    group_by: Sequence[str]
    group_wait_seconds: int
    group_interval_seconds: int
    repeat_seconds: int


ROUTE_FIELDS: Final = tuple(RouteFields.__annotations__)
_PLAIN: Final = (
    "name",
    "enabled",
    "go_on",
    "group_wait_seconds",
    "group_interval_seconds",
    "repeat_seconds",
)


def ensure_default() -> Route:
    """Return the route of everything that no other takes; it is made where it is missing."""
    found = Route.objects.filter(is_default=True).first()
    return found if found is not None else _make_default()


@audited
def create(*, actor: Actor, **fields: Unpack[RouteFields]) -> Route:
    """Add a route before the default one; raises InvalidInputError."""
    if Route.objects.count() >= MOST_ROUTES:
        told = f"There are {MOST_ROUTES} routes already; join some of them."
        raise InvalidInputError(told, errors={"name": [told]})
    last = Route.objects.filter(is_default=False).order_by("-position").first()
    route = Route(position=(last.position if last is not None else 0) + STEP)
    _fill(route, fields)
    _save(route, force_insert=True)
    _set_channels(route, fields)
    record(actor=actor, action="route.created", target=route, after=shown(route))
    return route


@audited
def update(*, actor: Actor, route_id: int, **fields: Unpack[RouteFields]) -> Route:
    """Change a route; threads that are open go on with what is set now.

    The default route is for every alert, so it takes no conditions and cannot be switched off.
    """
    route = _locked(route_id)
    before = shown(route)
    if route.is_default and (fields.get("matchers") or fields.get("enabled") is False):
        told = "The default route is for every alert that no other route takes; it stays so."
        raise InvalidTransitionError(told)
    _fill(route, fields)
    _save(route)
    _set_channels(route, fields)
    old, new = changes(before, shown(route))
    record(actor=actor, action="route.updated", target=route, before=old, after=new)
    return route


@audited
def delete(*, actor: Actor, route_id: int) -> None:
    """Remove a route; whoever its open threads have told is still told that it is over."""
    route = _locked(route_id)
    if route.is_default:
        told = "The default route cannot be deleted: alerts would be lost in silence."
        raise InvalidTransitionError(told)
    open_threads = Group.objects.filter(route=route, closed_at=None).count()
    record(
        actor=actor,
        action="route.deleted",
        target=route,
        before=shown(route),
        open_threads=open_threads,
    )
    route.channels.clear()
    route.delete()


@audited
def move(*, actor: Actor, route_id: int, up: bool) -> bool:
    """Ask a route one place earlier or later; return whether there was such a place."""
    route = _locked(route_id)
    if route.is_default:
        told = "The default route comes last."
        raise InvalidTransitionError(told)
    rows = list(
        Route.objects.select_for_update().filter(is_default=False).order_by("position", "pk")
    )
    place = rows.index(route)
    other = place - 1 if up else place + 1
    if not 0 <= other < len(rows):
        return False
    rows[place], rows[other] = rows[other], rows[place]
    for number, row in enumerate(rows, start=1):
        # Numbered anew each time: equal positions could not be told apart otherwise.
        row.position = number * STEP
    Route.objects.bulk_update(rows, ["position"])
    record(
        actor=actor,
        action="route.moved",
        target=route,
        after={"order": [row.name for row in rows]},
    )
    return True


def shown(route: Route) -> dict[str, object]:
    """Return the settings of a route, for the audit log."""
    told: dict[str, object] = {name: getattr(route, name) for name in _PLAIN}
    told["matchers"] = matching.told(matching.parse(route.matchers))
    told["group_by"] = list(route.group_by)
    told["channels"] = sorted(route.channels.values_list("name", flat=True)) if route.pk else []
    told["chain"] = route.chain.name if route.chain is not None else ""
    return told


@audited
def _make_default() -> Route:
    route = unsaved_default()
    # An operator may have given this name to another route.
    if Route.objects.filter(name=route.name).exists():
        route.name = f"{route.name} ({timezone.now():%Y-%m-%d %H:%M})"
    try:
        with transaction.atomic():
            route.save(force_insert=True)
    except IntegrityError:
        # Two processes at once: the row of the other serves both.
        return Route.objects.get(is_default=True)
    record(actor=SYSTEM, action="route.created", target=route, after=shown(route))
    return route


def _locked(route_id: int) -> Route:
    route = Route.objects.select_for_update(of=("self",)).filter(pk=route_id).first()
    if route is None:
        told = "There is no such route."
        raise NotFoundError(told)
    return route


def _fill(route: Route, fields: RouteFields) -> None:
    for name in _PLAIN:
        if name in fields:
            setattr(route, name, fields[name])
    route.name = route.name.strip()
    if "matchers" in fields:
        route.matchers = [found.stored() for found in matching.parse(fields["matchers"])]
    if "group_by" in fields:
        route.group_by = matching.usable_group_by(fields["group_by"])
    if "chain" in fields:
        route.chain = _chain(fields["chain"])
    if not route.is_default and not route.matchers and not route.go_on:
        told = (
            "Without conditions it would take every alert from the routes below. "
            "Add a condition, let the search go on, or change the default route."
        )
        raise InvalidInputError(_UNUSABLE, errors={"matchers": [told]})


def _chain(chain_id: int | None) -> EscalationChain | None:
    if chain_id is None:
        return None
    chain = EscalationChain.objects.filter(pk=chain_id).first()
    if chain is None:
        told = "There is no such escalation."
        raise InvalidInputError(_UNUSABLE, errors={"chain": [told]})
    return chain


def _set_channels(route: Route, fields: RouteFields) -> None:
    wanted = fields.get("channels")
    if wanted is None:
        # A new route reaches nobody by accident only where its escalation does.
        wanted = list(route.channels.values_list("pk", flat=True))
    else:
        known = Channel.objects.in_bulk(list(wanted))
        if gone := [str(key) for key in wanted if key not in known]:
            told = f"There is no channel {gone[0]}."
            raise InvalidInputError(_UNUSABLE, errors={"channels": [told]})
        if alone := [channel.name for channel in known.values() if channel.is_for_people]:
            told = f"The channel {alone[0]} is for people alone and reaches nobody else."
            raise InvalidInputError(_UNUSABLE, errors={"channels": [told]})
        route.channels.set(known.values())
    if not wanted and route.chain_id is None and not route.is_default:
        told = "Choose at least one channel, or an escalation."
        raise InvalidInputError(_UNUSABLE, errors={"channels": [told]})


def _save(route: Route, *, force_insert: bool = False) -> None:
    try:
        route.clean_fields(exclude={"chain"})
    except ValidationError as error:
        raise InvalidInputError(_UNUSABLE, errors=error.message_dict) from None
    try:
        with transaction.atomic():
            route.save(force_insert=force_insert)
    except IntegrityError:
        told = "There is a route of this name."
        raise InvalidInputError(_UNUSABLE, errors={"name": [told]}) from None
