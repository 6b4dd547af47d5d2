"""Flush: what a thread has to say by now, compared with what people were told before."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q
from django.utils import timezone

from core import leases
from core.keyring import KeyringError
from core.leases import LeaseLostError
from notifications.engine import grouping
from notifications.engine.grouping import STORM_KEY, STORM_SECONDS, STORM_THREADS, Standing
from notifications.models import EscalationRun, Event, Group, GroupMember, Notification, Route
from notifications.selectors import people
from notifications.selectors.routing import channels_of, facts_of, read_book, unique, why_nobody
from notifications.selectors.targets import targets_of_channels
from notifications.services import escalation, routes
from notifications.services.composing import Member, compose, events_of, listed, members_of
from notifications.services.outgoing import Outbox, reached_by, untried_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from core.leases import Held
    from notifications.selectors.routing import Book
    from notifications.selectors.targets import Target
    from notifications.services.composing import Telling

logger = logging.getLogger(__name__)

BATCH: Final = 200
# What is no fault of one thread: to go on with the next would fail too.
OF_ALL: Final = (InterfaceError, OperationalError, LeaseLostError, KeyringError)
SET_ASIDE: Final = timedelta(minutes=1)
CHUNK: Final = 5_000
NO_CHANNEL: Final = "No channel is enabled: nobody could be told."
TOO_SHORT: Final = "It was over before anybody was told."
# Where nobody could be told, the next channel that is switched on need not wait for hours.
TRY_AGAIN: Final = timedelta(minutes=5)

# Each thread has values of its own: one statement a row costs less than one for all of them.
_WRITE: Final = """
UPDATE notifications_group SET last_seq = %s, last_sent_at = %s, flush_at = %s, repeat_at = %s,
    closed_at = %s, title = %s, severity = %s
WHERE id = %s
"""

_GRAVE: Final = Exists(
    GroupMember.objects.filter(group=OuterRef("pk"), severity=Event.Severity.CRITICAL)
)
_FIRING: Final = Event.Status.FIRING.value
_RESOLVED: Final = Event.Status.RESOLVED.value
_Reason = Notification.Reason


def flush(held: Held) -> int:
    """Tell people of every thread that is due, and again of what still holds; return how many."""
    now = timezone.now()
    count = 0
    if _due(now).exists():
        _gather_storms(held, now)
        count += _all(held, now, _due(now), repeats=False)
    if _to_repeat(now).exists():
        # What repeats must not keep what is new waiting: the rest has its turn in the next slice.
        count += _all(held, now, _to_repeat(now), repeats=True, most=BATCH)
    return count


def try_channels() -> None:
    """Open what is needed to tell somebody; raises KeyringError if the keyring cannot be read."""
    default = Route.objects.filter(is_default=True).first()
    if default is not None:
        targets_of_channels(channels_of(default))


def interval_of(group: Group) -> int:
    """Return for how many seconds a thread is silent after a message."""
    seconds = group.route.group_interval_seconds if group.route is not None else 0
    return max(STORM_SECONDS, seconds) if group.group_key == STORM_KEY else seconds


def _all(
    held: Held, now: datetime, rows: QuerySet[Group], *, repeats: bool, most: int | None = None
) -> int:
    """Go through all that are due at this moment, or `most` of them, by their keys."""
    book = read_book(now)
    count = last = seen = 0
    while (most is None or seen < most) and (
        keys := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH])
    ):
        last = keys[-1]
        seen += len(keys)
        try:
            count += _flush_batch(held, book, keys, now, repeats=repeats)
        except OF_ALL:
            raise
        except Exception:
            logger.exception("Threads up to %s cannot speak together.", last)
            count += sum(_flush_alone(held, book, key, now, repeats=repeats) for key in keys)
    return count


def _flush_alone(held: Held, book: Book, key: int, now: datetime, *, repeats: bool) -> int:
    """Let one thread speak; one that fails is set aside for a minute."""
    try:
        return _flush_batch(held, book, [key], now, repeats=repeats)
    except OF_ALL:
        raise
    except Exception:
        logger.exception("Thread %s cannot speak; it is tried again in a minute.", key)
        _set_aside(held, key, now, repeats=repeats)
        return 0


@transaction.atomic
def _set_aside(held: Held, key: int, now: datetime, *, repeats: bool) -> None:
    leases.fence(held)
    moment = {"repeat_at" if repeats else "flush_at": now + SET_ASIDE}
    Group.objects.filter(pk=key, closed_at=None).update(**moment)


@transaction.atomic
def _flush_batch(
    held: Held, book: Book, keys: Sequence[int], now: datetime, *, repeats: bool
) -> int:
    leases.fence(held)
    groups = list(
        Group.objects.select_for_update(of=("self",))
        .filter(pk__in=keys, closed_at=None)
        .select_related("route__chain")
        .order_by("pk")
    )
    batch = _Batch(book, now, groups)
    if repeats:
        batch.repeat()
    else:
        batch.decide()
    return batch.write()


@dataclass(slots=True)
class _Speech:
    """What one thread says."""

    group: Group
    reason: str
    chosen: list[Member]
    note: str = ""


@dataclass(slots=True)
class _Batch:
    """Some due threads, and what is to be written of them."""

    book: Book
    now: datetime
    groups: Sequence[Group]
    members: dict[int, list[Member]] = field(default_factory=dict)
    speeches: list[_Speech] = field(default_factory=list)
    said: list[int] = field(default_factory=list)
    """Alerts that people know now as they stand."""
    short: list[Member] = field(default_factory=list)
    """Alerts that were over before anybody was told."""
    later: dict[int, datetime] = field(default_factory=dict)
    """Threads of which something is still kept back, and until when."""
    _subscribed: dict[str, list[Target]] = field(default_factory=dict)
    _channels: dict[int, list[Target]] = field(default_factory=dict)
    _whys: dict[int, str] = field(default_factory=dict)

    def decide(self) -> None:
        """Decide for each due thread why it speaks, and of what."""
        self.members = members_of(group.pk for group in self.groups)
        kept_back = self._kept_back()
        for group in self.groups:
            members = self.members[group.pk]
            quiet = {m.pk for m in members if m.pk in kept_back and m.is_news}
            if quiet:
                self.later[group.pk] = min(kept_back[pk] for pk in quiet)
            self._decide_one(group, [m for m in members if m.pk not in quiet])
            # It came and went since people last heard of it, if they ever have.
            short = [m for m in members if m.is_over_unheard]
            self.short += short
            self.said += [m.pk for m in short if m.told]
            group.flush_at = self.later.get(group.pk)
            if not any(m.status == _FIRING for m in members):
                group.closed_at = self.now
                group.repeat_at = None

    def repeat(self) -> None:
        """Decide for each thread whether people are told again of what still holds."""
        self.members = members_of(group.pk for group in self.groups)
        kept_back = self._kept_back()
        for group in self.groups:
            members = self.members[group.pk]
            holding = [
                m
                for m in members
                if m.status == _FIRING and m.pk not in kept_back and not m.is_acknowledged
            ]
            # What is about to be told says all of it.
            if holding and not any(m.is_news for m in members):
                lasts = (self.now - min(m.since for m in holding)).total_seconds()
                note = f"It still holds, for {grouping.lasted(lasts)}."
                self.speeches.append(_Speech(group, _Reason.REPEAT.value, holding, note))
            group.repeat_at = self._repeat_at(group) if holding or members else None

    def write(self) -> int:
        """Write messages, what was told by them, and the threads; return how many spoke."""
        events = events_of([s.chosen for s in self.speeches] + [[m] for m in self.short])
        over = [s for s in self.speeches if s.reason == _Reason.ALL_RESOLVED or _ends_graver(s)]
        reached = reached_by((s.group.pk for s in over if s.group.last_seq), with_switched_off=True)
        # Whoever has not even got the message of before needs no second one.
        waiting = untried_by(s.group.pk for s in self.speeches if s.reason == _Reason.REPEAT)
        box = Outbox(now=self.now)
        unheard: list[int] = []
        began = {speech.group.pk: speech.group.last_seq for speech in self.speeches}
        spoke: list[_Speech] = []
        for speech in self.speeches:
            group = speech.group
            severity = self._severity(speech)
            urgency = grouping.worst([severity, *_just_over(speech)])
            if group.is_open and speech.reason != _Reason.REPEAT:
                group.repeat_at = self._repeat_at(group)
            targets = [
                target
                for target in unique([*self._targets(group, urgency), *reached.get(group.pk, ())])
                if (group.pk, target.channel.pk, target.recipient) not in waiting
            ]
            if not targets and group.is_open:
                group.repeat_at = self.now + TRY_AGAIN
            if not targets and speech.reason == _Reason.REPEAT:
                continue
            group.last_seq += 1
            group.last_sent_at = self.now
            group.severity = severity
            telling = compose(
                group,
                speech.chosen,
                events,
                reason=speech.reason,
                seq=group.last_seq,
                note=speech.note,
                urgency=urgency,
            )
            group.title = telling.message.title
            spoke.append(speech)
            if targets:
                box.add(group, telling, targets)
            else:
                box.add_unsent(group, telling, state=Notification.State.DEAD, why=self._why(group))
                unheard += [m.event_id for m in speech.chosen if m.is_news]
        self._explain_short(box, events)
        self._write_members()
        self._write_events(unheard)
        self._write_groups()
        self._escalate(spoke)
        # What speaks for the first time has nothing to take back.
        box.write(older=[pk for pk, seq in began.items() if seq])
        return len(spoke)

    def _decide_one(self, group: Group, members: list[Member]) -> None:
        reason = grouping.decide(
            _standing(members),
            was_told=group.last_sent_at is not None,
            is_storm=group.group_key == STORM_KEY,
        )
        if reason is not None:
            self.speeches.append(_Speech(group, reason.value, listed(members, reason.value)))
            self.said += [m.pk for m in members if m.is_news]

    def _repeat_at(self, group: Group) -> datetime | None:
        seconds = group.route.repeat_seconds if group.route is not None else 0
        return self.now + timedelta(seconds=seconds) if seconds else None

    def _kept_back(self) -> dict[int, datetime]:
        """Return which alerts a silence keeps back, and until when."""
        if not self.book.silences:
            return {}
        holding = [m for some in self.members.values() for m in some if m.status == _FIRING]
        found: dict[int, datetime] = {}
        for start in range(0, len(holding), CHUNK):
            part = holding[start : start + CHUNK]
            events = Event.objects.in_bulk({m.event_id for m in part})
            for member in part:
                silence = self.book.silence_of(facts_of(events[member.event_id]))
                if silence is not None:
                    found[member.pk] = silence.ends_at
        return found

    def _severity(self, speech: _Speech) -> str:
        firing = [m.severity for m in speech.chosen if m.status == _FIRING]
        if firing:
            return grouping.worst(firing)
        if speech.reason == _Reason.ALL_RESOLVED:
            # As grave as what people were told.
            return grouping.worst([speech.group.severity, *(m.severity for m in speech.chosen)])
        return grouping.worst(m.severity for m in speech.chosen)

    def _targets(self, group: Group, severity: str) -> list[Target]:
        if severity not in self._subscribed:
            wanted = people.subscribers(severity)
            self._subscribed[severity] = people.targets_of(wanted, severity)
        route = group.route
        if route is None:
            # Its route was deleted: whoever it has told hears the rest.
            heard = reached_by([group.pk])[group.pk]
            if heard or not group.is_open:
                return heard
            # It has told nobody yet, so it is for those who hear of everything else.
            route = routes.ensure_default()
        if route.pk not in self._channels:
            self._channels[route.pk] = targets_of_channels(channels_of(route))
        return [*self._channels[route.pk], *self._subscribed[severity]]

    def _why(self, group: Group) -> str:
        """Return why nobody can be told of a thread."""
        route = group.route
        if route is None:
            return NO_CHANNEL
        if route.pk not in self._whys:
            name = f"the route {route.name}"
            found = why_nobody(route, name=name) or f"The channels of {name} have no recipients"
            self._whys[route.pk] = f"{found}: nobody could be told."
        return self._whys[route.pk]

    def _explain_short(self, box: Outbox, events: dict[int, Event]) -> None:
        groups = {group.pk: group for group in self.groups}
        for member in self.short:
            if member.event_id not in events:
                continue
            group = groups[member.group_id]
            group.last_seq += 1
            telling: Telling = compose(
                group, [member], events, reason=_Reason.ALL_RESOLVED, seq=group.last_seq
            )
            box.add_unsent(group, telling, state=Notification.State.SUPPRESSED, why=TOO_SHORT)

    def _write_members(self) -> None:
        for start in range(0, len(self.said), CHUNK):
            rows = GroupMember.objects.filter(pk__in=self.said[start : start + CHUNK])
            rows.update(told=F("status"), told_event_id=F("event_id"))
        # Nobody will hear of them again.
        GroupMember.objects.filter(pk__in=[m.pk for m in self.short if not m.told]).delete()

    def _write_events(self, unheard: Sequence[int]) -> None:
        ends = {
            Event.Routing.NO_CHANNEL: list(unheard),
            Event.Routing.SUPPRESSED: [m.event_id for m in self.short],
        }
        for routing, keys in ends.items():
            if keys:
                rows = Event.objects.filter(pk__in=keys, routing=Event.Routing.ROUTED)
                rows.update(routing=routing)

    def _write_groups(self) -> None:
        adapt = connection.ops.adapt_datetimefield_value
        rows = [
            (
                group.last_seq,
                adapt(group.last_sent_at),
                adapt(group.flush_at),
                adapt(group.repeat_at),
                adapt(group.closed_at),
                group.title,
                group.severity,
                group.pk,
            )
            for group in self.groups
        ]
        with connection.cursor() as cursor:
            cursor.executemany(_WRITE, rows)

    def _escalate(self, spoke: Iterable[_Speech]) -> None:
        for speech in spoke:
            group, route = speech.group, speech.group.route
            chain = route.chain if route is not None else None
            if speech.reason == _Reason.REPEAT or (chain is None and group.acked_at is None):
                continue
            if any(m.status == _FIRING for m in speech.chosen):
                escalation.start(group, chain)
        ended = {group.pk: group for group in self.groups if not group.is_open}
        at_work = EscalationRun.objects.filter(group__in=ended, state=EscalationRun.State.ACTIVE)
        for key in list(at_work.values_list("group", flat=True)):
            escalation.stop(ended[key])


def _just_over(speech: _Speech) -> list[str]:
    """Return how grave was what is told to be over while something else holds."""
    if speech.reason != _Reason.NEW_RESOLVED:
        return []
    return [m.severity for m in speech.chosen if m.status == _RESOLVED]


def _ends_graver(speech: _Speech) -> bool:
    """Tell whether something graver is over than what still holds: all who were told hear it."""
    holds = grouping.worst(m.severity for m in speech.chosen if m.status == _FIRING)
    return grouping.gravity(grouping.worst(_just_over(speech))) > grouping.gravity(holds)


def _standing(members: Iterable[Member]) -> Standing:
    firing = new = news = resolved = info = 0
    for member in members:
        if member.status == _FIRING:
            firing += 1
            if member.told != _FIRING:
                new += 1
            elif member.is_news:
                news += 1
        elif member.status == _RESOLVED:
            resolved += member.told == _FIRING
        else:
            info += member.is_news
    return Standing(firing, new, news, resolved, info)


def _due(now: datetime) -> QuerySet[Group]:
    return Group.objects.filter(flush_at__lte=now)


def _to_repeat(now: datetime) -> QuerySet[Group]:
    return Group.objects.filter(repeat_at__lte=now)


def _gather_storms(held: Held, now: datetime) -> None:
    """Where a route has opened too many threads at once, let one thread tell of them all."""
    new = _due(now).filter(last_sent_at=None, route__isnull=False).exclude(group_key=STORM_KEY)
    # One that is critical is not lost in a storm of what is not.
    counts = (
        new.order_by()
        .annotate(is_grave=_GRAVE)
        .values_list("route")
        .annotate(count=Count("pk"), grave=Count("pk", filter=Q(is_grave=True)))
    )
    for route_id, count, grave in list(counts):
        route = Route.objects.get(pk=route_id)
        wait = timedelta(seconds=route.group_wait_seconds)
        lately = Group.objects.filter(
            Q(last_sent_at__isnull=False) | Q(gathered_into__isnull=False),
            route=route,
            opened_at__gte=now - wait - timedelta(seconds=STORM_SECONDS),
        )
        lately = lately.exclude(group_key=STORM_KEY)
        if count + lately.count() > STORM_THREADS:
            before = lately.filter(severity=Event.Severity.CRITICAL).count()
            with_grave = grave + before > STORM_THREADS
            _gather(held, route, now, now + wait, with_grave=with_grave)


@transaction.atomic
def _gather(held: Held, route: Route, now: datetime, until: datetime, *, with_grave: bool) -> None:
    """Move what nobody was told of into the storm of a route; what still waits goes along."""
    leases.fence(held)
    new = Group.objects.filter(
        route=route, last_sent_at=None, closed_at=None, flush_at__lte=until
    ).exclude(group_key=STORM_KEY)
    if not with_grave:
        new = new.exclude(_GRAVE)
    keys = list(new.select_for_update().order_by("pk").values_list("pk", flat=True))
    if not keys:
        return
    storm, _ = Group.objects.get_or_create(
        route=route,
        group_key=STORM_KEY,
        closed_at=None,
        defaults={
            "route_name": route.name,
            "title": "Many alerts at once",
            "severity": Event.Severity.INFO,
        },
    )
    for start in range(0, len(keys), CHUNK):
        part = keys[start : start + CHUNK]
        GroupMember.objects.filter(group__in=part).update(group=storm)
        Group.objects.filter(pk__in=part).update(closed_at=now, flush_at=None, gathered_into=storm)
    pause = timedelta(seconds=STORM_SECONDS if with_grave else interval_of(storm))
    flush_at = max(now, storm.last_sent_at + pause) if storm.last_sent_at else now
    Group.objects.filter(pk=storm.pk).update(flush_at=flush_at)
