"""Who would be told of an alert: silences and routes as they stand, asked in their order.

The router asks the same questions as the page that tries a route, so both give one answer.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Q

from core.errors import InvalidInputError
from notifications.engine import grouping, matching
from notifications.engine.quiet import hours_of
from notifications.engine.targets import shown_address
from notifications.models import Channel, Event, Preference, Route, Silence
from notifications.selectors import escalation, people
from notifications.selectors.targets import targets_of_channels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from notifications.engine.matching import AlertFacts, Matcher
    from notifications.engine.quiet import QuietHours
    from notifications.selectors.targets import Target

logger = logging.getLogger(__name__)

DEFAULT_NAME: Final = "Everything else"
NO_RECIPIENTS: Final = "Its channels have no recipients"


@dataclass(frozen=True, slots=True)
class Rule:
    """A route or a silence with its conditions, ready to be asked."""

    row: Route
    matchers: tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class Quieting:
    """A silence with its conditions."""

    row: Silence
    matchers: tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class Book:
    """Silences that hold and routes in their order, read at one moment."""

    rules: Sequence[Rule]
    silences: Sequence[Quieting]

    def silence_of(self, facts: AlertFacts) -> Silence | None:
        """Return the silence that keeps an alert back, of several the one that ends last."""
        found = [s.row for s in self.silences if matching.matches(s.matchers, facts)]
        return max(found, key=lambda row: row.ends_at, default=None)

    def routes_for(self, facts: AlertFacts) -> list[Route]:
        """Return the routes that an alert takes; the default route is for every alert."""
        found = []
        for rule in self.rules:
            if matching.matches(rule.matchers, facts):
                found.append(rule.row)
                if not rule.row.go_on:
                    break
        return found


@dataclass(frozen=True, slots=True)
class Tried:
    """One route as an alert meets it; `why` says why it is taken or not."""

    route: Route
    is_taken: bool
    why: str


@dataclass(frozen=True, slots=True)
class Reached:
    """One whom a message would go to; `quiet_until` is set if it would wait."""

    channel: Channel
    recipient: str
    user_id: UUID | None = None
    person: str = ""
    quiet_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What one route would do: the thread, when its first message goes, to whom, and what next."""

    route: Route
    shared: dict[str, str]
    """What the alerts of the thread have in common."""
    first_at: datetime
    reached: Sequence[Reached]
    steps: Sequence[str]
    """The escalation in words."""
    trouble: str = ""
    """Why nobody would be told."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen to an alert."""

    silence: Silence | None
    tried: Sequence[Tried]
    told: Sequence[Told] = field(default_factory=list)


def read_book(at: datetime) -> Book:
    """Return the routes that are switched on and the silences that hold at a moment."""
    routes = Route.objects.filter(enabled=True).select_related("chain")
    rules = [
        Rule(route, found)
        for route in routes.order_by("is_default", "position", "pk")
        if (found := _matchers(route, route.matchers)) is not None
    ]
    return Book(rules, _silences(at))


def holding(at: datetime) -> Q:
    """Return what a silence must be to hold at a moment."""
    return Q(starts_at__lte=at, ends_at__gt=at) & (Q(ended_at__isnull=True) | Q(ended_at__gt=at))


def facts_of(event: Event) -> AlertFacts:
    """Return what of an event can be matched."""
    return matching.AlertFacts(
        kind=event.kind,
        severity=event.severity,
        service=event.service,
        labels=event.labels,
        dedup_key=event.dedup_key,
        status=event.status,
    )


def unsaved_default() -> Route:
    """Return the default route as it is made when nobody has made it yet.

    Its threads hold one alert each, so nothing is gained by waiting for company.
    """
    return Route(
        name=DEFAULT_NAME,
        position=1_000_000,
        is_default=True,
        group_by=list(grouping.BY_ALERT),
        group_wait_seconds=0,
        group_interval_seconds=0,
    )


def channels_of(route: Route) -> list[Channel]:
    """Return the channels of a route that are switched on, in the order of their names.

    The default route without channels of its own reaches every one that is not for people alone.
    """
    own = list(route.channels.all().order_by("name")) if route.pk else []
    if own or not route.is_default:
        return [channel for channel in own if channel.enabled and not channel.is_for_people]
    return list(Channel.objects.filter(enabled=True, is_for_people=False).order_by("name"))


def why_nobody(route: Route, own: Sequence[Channel] | None = None, *, name: str = "") -> str:
    """Return why the channels of a route reach nobody; empty if they should reach somebody.

    `own` are its channels, where they have been read; the route is called "it" unless `name` says
    otherwise.
    """
    if own is None:
        own = list(route.channels.all()) if route.pk else []
    of, whose = (f"of {name}", f"The channels of {name}") if name else ("of it", "Its channels")
    if not own and route.is_default:
        shared = Channel.objects.filter(enabled=True, is_for_people=False)
        return "" if shared.exists() else "No channel is enabled"
    if not own:
        return f"No channel {of} is named" if name else "It names no channel"
    working = [channel for channel in own if channel.enabled]
    if not working:
        return f"No channel {of} is switched on"
    if all(channel.is_for_people for channel in working):
        return f"{whose} are for people alone and reach nobody else"
    return ""


def trouble_of(route: Route, own: Sequence[Channel] | None = None) -> str:
    """Return in a sentence why the channels of a route reach nobody, and what follows of that."""
    why = why_nobody(route, own)
    return f"{why}: {_then(route)}" if why else ""


def quiet_hours_of(user_ids: Collection[UUID]) -> dict[UUID, QuietHours]:
    """Return the quiet hours of those people who have some."""
    found: dict[UUID, QuietHours] = {}
    if not user_ids:
        return found
    rows = Preference.objects.filter(user__in=user_ids, quiet_from__isnull=False)
    for row in rows:
        hours = hours_of(row.quiet_from, row.quiet_until, row.quiet_days, row.time_zone)
        if hours is not None:
            found[row.user_id] = hours
    return found


def quiet_until(
    target: Target, quiet: dict[UUID, QuietHours], severity: str, at: datetime
) -> datetime | None:
    """Return until when a message to a target is held; None if it goes at once.

    A critical one always goes. A person's own hours count for their own address, those of a channel
    for everybody else.
    """
    if severity == Event.Severity.CRITICAL:
        return None
    if target.user_id is not None:
        hours = quiet.get(target.user_id)
    else:
        row = target.channel
        hours = hours_of(row.quiet_from, row.quiet_until, row.quiet_days, row.time_zone)
    return hours.ends_after(at) if hours is not None else None


def unique(targets: Iterable[Target]) -> list[Target]:
    """Return each recipient of a channel once."""
    found: dict[tuple[UUID, str], Target] = {}
    for target in targets:
        found.setdefault((target.channel.pk, target.recipient), target)
    return list(found.values())


def plan(facts: AlertFacts, *, at: datetime, sees_recipients: bool = False) -> Plan:
    """Return what would happen to an alert that is raised at a moment; nothing is changed.

    Addresses are masked unless the reader may see them. Raises KeyringError if the keyring cannot
    be read.
    """
    book = read_book(at)
    rules = list(book.rules)
    if not any(rule.row.is_default for rule in rules):
        rules.append(Rule(unsaved_default(), ()))
    book = Book(rules, book.silences)
    silence = book.silence_of(facts)
    taken = book.routes_for(facts)
    ended = False
    tried: list[Tried] = []
    for rule in rules:
        is_taken = rule.row in taken if rule.row.pk else rule.row.is_default and not ended
        tried.append(Tried(rule.row, is_taken, _why(rule, facts, is_taken=is_taken, ended=ended)))
        ended = ended or (is_taken and not rule.row.go_on)
    told = [_told(one.route, facts, at, sees_recipients) for one in tried if one.is_taken]
    return Plan(silence, tried, [] if silence else told)


def _why(rule: Rule, facts: AlertFacts, *, is_taken: bool, ended: bool) -> str:
    if is_taken and rule.row.is_default:
        return "It is for every alert that gets as far as this."
    if is_taken:
        return f"It is for alerts of which {matching.told(rule.matchers)}."
    if ended:
        return "A route above has ended the search."
    missed = matching.failing(rule.matchers, facts)
    return f"The alert does not meet: {missed}." if missed else "It is not asked."


def _told(route: Route, facts: AlertFacts, at: datetime, sees_recipients: bool) -> Told:  # noqa: FBT001  # passed on as it came
    is_critical = facts.severity == Event.Severity.CRITICAL
    wait = 0 if is_critical else route.group_wait_seconds
    subscribed = people.targets_of(people.subscribers(facts.severity), facts.severity)
    targets = unique([*targets_of_channels(channels_of(route)), *subscribed])
    quiet = quiet_hours_of({t.user_id for t in targets if t.user_id is not None})
    first_at = at + timedelta(seconds=wait)
    reached = [
        Reached(
            channel=target.channel,
            recipient=target.recipient if sees_recipients else shown_address(target.recipient),
            user_id=target.user_id,
            quiet_until=quiet_until(target, quiet, facts.severity, first_at),
        )
        for target in targets
    ]
    steps: list[str] = []
    if route.chain is not None:
        shot = escalation.snapshot(route.chain)
        steps = escalation.in_words(shot, repeats=route.chain.repeats, severity=facts.severity)
    trouble = "" if reached else trouble_of(route) or f"{NO_RECIPIENTS}: {_then(route)}"
    shared = grouping.common(route.group_by, facts)
    return Told(route, shared, first_at, reached, steps, trouble)


def _then(route: Route) -> str:
    if route.chain is not None:
        return "people are told by the escalation alone."
    return "nobody would be told."


def _silences(at: datetime) -> list[Quieting]:
    return [
        Quieting(row, found)
        for row in Silence.objects.filter(holding(at))
        if (found := _matchers(row, row.matchers)) is not None
    ]


def _matchers(row: Route | Silence, raw: Sequence[dict[str, object]]) -> tuple[Matcher, ...] | None:
    try:
        return matching.parse(raw)
    except InvalidInputError as error:
        # Written past the services; what cannot be read must not stop everybody else's alerts.
        logger.warning("Left out: the conditions of %s cannot be read.", row, extra=error.errors)
        return None
