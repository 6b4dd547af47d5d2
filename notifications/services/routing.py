"""From events to threads: which routes an alert takes, decided from rows after it has committed."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import connection, transaction
from django.db.models import Max
from django.db.models.functions import Now
from django.utils import timezone

from core import leases
from core.drill import is_drill
from notifications.engine import grouping
from notifications.engine.audiences import ALERTS
from notifications.engine.base import Message, idempotency_key
from notifications.models import Event, Group, GroupMember, Notification
from notifications.selectors.routing import facts_of, read_book
from notifications.services import digests, flushing, routes
from notifications.services.composing import Telling, path_of
from notifications.services.live import News
from notifications.services.outgoing import Outbox, thread_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from core.leases import Held
    from notifications.models import Route, Silence
    from notifications.selectors.routing import Book

logger = logging.getLogger(__name__)

BATCH: Final = 200
UNHEARD: Final = "Nobody was told that it began, so nobody is told that it is over."

# Each event has its own: one statement a row costs less than one for all of them.
_DECIDE: Final = "UPDATE notifications_event SET decided = %s WHERE id = %s"

_FIRING: Final = Event.Status.FIRING
_RESOLVED: Final = Event.Status.RESOLVED
_KEY_CHARACTERS: Final = 200


def route(held: Held) -> int:
    """Put unrouted events into threads until none is left, then tell people what is due.

    Returns how many were routed. Only the holder of the lease writes: were two routers at work, a
    later event of an alert could overtake an earlier one. A drill copy routes nothing. Raises
    KeyringError while the keyring cannot be read: nothing could leave, so alerts wait unrouted.
    """
    if is_drill():
        return 0
    routed = 0
    # Looked for without a transaction: an idle router writes nothing.
    if _unrouted().exists():
        routes.ensure_default()
        # Before anything is written: while the keyring cannot be read, alerts wait as they came.
        flushing.try_channels()
        routed = _route_all(held)
    # Only now, so that alerts which were raised together are told together.
    flushing.flush(held)
    digests.release(held)
    return routed


@dataclass(slots=True)
class _Thread:
    """A thread as this batch leaves it."""

    group: Group
    is_new: bool = False
    flush_at: datetime | None = None

    def look_at(self, moment: datetime) -> None:
        if self.flush_at is None or moment < self.flush_at:
            self.flush_at = moment


@dataclass(slots=True)
class _Place:
    """An alert in a thread as this batch leaves it."""

    thread: _Thread
    row: GroupMember
    is_touched: bool = False


@dataclass(slots=True)
class _Batch:
    """What some events make of the open threads."""

    book: Book
    now: datetime
    threads: dict[tuple[int | None, str], _Thread] = field(default_factory=dict)
    places: dict[str, list[_Place]] = field(default_factory=dict)
    outcomes: dict[str, list[int]] = field(default_factory=dict)
    decided: list[Event] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    box: Outbox = field(default_factory=Outbox)
    _seen: dict[int, _Thread] = field(default_factory=dict)
    _taken: dict[int, list[tuple[Route, str, dict[str, str]]]] = field(default_factory=dict)
    _adopted: list[tuple[_Thread, Event]] = field(default_factory=list)

    def read(self, events: Sequence[Event]) -> None:
        """Read the open threads that these events may belong to."""
        keys = set()
        for event in events:
            if event.status != _RESOLVED and not event.suppressed_by:
                facts = facts_of(event)
                taken = self._taken[event.pk] = []
                for found in self.book.routes_for(facts):
                    shared = grouping.common(found.group_by, facts)
                    key = grouping.key_of(shared)
                    taken.append((found, key, shared))
                    keys.add(key)
        members = GroupMember.objects.filter(
            dedup_key__in={event.dedup_key for event in events}, group__closed_at=None
        )
        for row in members.select_related("group__route").order_by("pk"):
            place = _Place(self._known(row.group), row)
            self.places.setdefault(row.dedup_key, []).append(place)
        open_ones = Group.objects.filter(group_key__in=keys, closed_at=None)
        for group in open_ones.select_related("route"):
            self._known(group)
        # Whoever acknowledges locks threads in this order as well, and then their alerts.
        locked = Group.objects.select_for_update(no_key=True).filter(pk__in=self._seen)
        list(locked.order_by("pk").values_list("pk", flat=True))

    def take(self, event: Event) -> None:
        """Decide what becomes of one event."""
        if event.status == _RESOLVED:
            outcome = self._end(event)
        elif event.suppressed_by:
            self._keep_back(event, f"Suppressed: {event.suppressed_by}")
            outcome = Event.Routing.SUPPRESSED
        else:
            outcome = self._begin(event)
        self.outcomes.setdefault(outcome, []).append(event.pk)
        if outcome is not Event.Routing.SUPPRESSED:
            # The console is told also when nobody else could be.
            self.news.append(_news(event))

    def write(self) -> None:
        """Write what has changed, the threads before what refers to them."""
        new = [thread for thread in self.threads.values() if thread.is_new]
        for thread in new:
            thread.group.flush_at = thread.flush_at
        Group.objects.bulk_create([thread.group for thread in new], batch_size=BATCH)
        self._write_old()
        touched = [p.row for places in self.places.values() for p in places if p.is_touched]
        # An alert that has its place in a thread keeps what people were told of it.
        GroupMember.objects.bulk_create(
            touched,
            batch_size=BATCH,
            update_conflicts=True,
            unique_fields=["group", "dedup_key"],
            update_fields=["event", "status", "severity", "since"],
        )
        for thread, event in self._adopted:
            _take_over(thread.group, event)
        self._write_decided()
        for outcome, ids in self.outcomes.items():
            Event.objects.filter(pk__in=ids).update(routed_at=Now(), routing=outcome)
        self.box.news += self.news
        # Last, so that the lock on the feed is held for the shortest time.
        self.box.write(older=())

    def _write_decided(self) -> None:
        rows = []
        for event in self.decided:
            event.decided = [
                {
                    name: value.pk if isinstance(value, Group) else value
                    for name, value in one.items()
                }
                for one in event.decided
            ]
            rows.append((json.dumps(event.decided), event.pk))
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(_DECIDE, rows)

    def _write_old(self) -> None:
        by_moment: dict[datetime, list[int]] = {}
        for thread in self._seen.values():
            before = thread.group.flush_at
            if thread.flush_at is not None and (before is None or thread.flush_at < before):
                by_moment.setdefault(thread.flush_at, []).append(thread.group.pk)
        for moment, keys in by_moment.items():
            Group.objects.filter(pk__in=keys).update(flush_at=moment)

    def _begin(self, event: Event) -> Event.Routing:
        facts = facts_of(event)
        silence = self.book.silence_of(facts)
        if silence is not None:
            self._keep_back(event, _said(silence))
            event.decided = [{"silence": silence.pk}]
            if event.status != _FIRING:
                # It is told once, and this was the time.
                self.decided.append(event)
                return Event.Routing.SUPPRESSED
        threads = [self._thread(event, *taken) for taken in self._taken[event.pk]]
        held = self._holding(event)
        # Whoever hears of it under other routes hears how it goes on.
        threads += [place.thread for place in held if place.thread not in threads]
        for thread in threads:
            self._put(thread, event, until=silence.ends_at if silence is not None else None)
            event.decided.append({"route": thread.group.route_name, "group": thread.group})
        self.decided.append(event)
        return Event.Routing.ROUTED if silence is None else Event.Routing.SUPPRESSED

    def _end(self, event: Event) -> Event.Routing:
        held = self._holding(event) or self._adopt(event)
        for place in held:
            place.row.status, place.row.event = _RESOLVED, event
            place.is_touched = True
            group = place.thread.group
            place.thread.look_at(self._next_look(group, at_once=group.last_sent_at is None))
            event.decided.append({"route": group.route_name, "group": group})
        if not held:
            self._keep_back(event, UNHEARD)
            return Event.Routing.SUPPRESSED
        self.decided.append(event)
        return Event.Routing.ROUTED

    def _holding(self, event: Event) -> list[_Place]:
        places = self.places.get(event.dedup_key, ())
        return [place for place in places if place.row.status == _FIRING]

    def _thread(self, event: Event, found: Route, key: str, shared: dict[str, str]) -> _Thread:
        """Return the thread of an alert under a route: the one where it is, or the one by key."""
        for place in self.places.get(event.dedup_key, ()):
            if place.thread.group.route_id == found.pk:
                return place.thread
        thread = self.threads.get((found.pk, key))
        return thread if thread is not None else self._open(event, found, key, shared)

    def _open(self, event: Event, found: Route | None, key: str, shared: dict[str, str]) -> _Thread:
        group = Group(
            route=found,
            route_name=found.name if found is not None else "",
            group_key=key,
            common=shared,
            title=event.title,
            severity=event.severity,
            opened_at=self.now,
        )
        thread = _Thread(group, is_new=True)
        self.threads[group.route_id, key] = thread
        return thread

    def _put(self, thread: _Thread, event: Event, *, until: datetime | None) -> None:
        name = event.dedup_key
        place = self._of(thread, name)
        is_held = place is not None and place.row.status == _FIRING
        if event.status == Event.Status.INFO and not is_held:
            # Each is news of its own: a later one does not stand for it.
            name = _own_name(event)
            place = self._of(thread, name)
        if place is None:
            row = GroupMember(group=thread.group, dedup_key=name, since=event.created_at)
            place = _Place(thread, row)
            self.places.setdefault(name, []).append(place)
        elif not is_held:
            place.row.since = event.created_at
        place.row.status = _FIRING if is_held else event.status
        place.row.severity, place.row.event = event.severity, event
        place.is_touched = True
        is_critical = event.severity == Event.Severity.CRITICAL
        moment = self._next_look(thread.group, at_once=is_critical)
        thread.look_at(moment if until is None else max(moment, until))

    def _of(self, thread: _Thread, name: str) -> _Place | None:
        places = self.places.get(name, ())
        return next((place for place in places if place.thread is thread), None)

    def _next_look(self, group: Group, *, at_once: bool) -> datetime:
        """Return when a thread may speak next."""
        found = group.route
        if at_once and group.group_key != grouping.STORM_KEY:
            return self.now
        if at_once and group.last_sent_at is not None:
            # A storm goes on at its own pace, which is no slower for what is critical.
            pause = timedelta(seconds=grouping.STORM_SECONDS)
            return max(self.now, min(self.now, group.last_sent_at) + pause)
        if group.last_sent_at is None:
            return self.now + timedelta(seconds=found.group_wait_seconds if found else 0)
        # A clock that was set back must not keep people waiting until it has caught up.
        spoke = min(self.now, group.last_sent_at)
        return max(self.now, spoke + timedelta(seconds=flushing.interval_of(group)))

    def _keep_back(self, event: Event, why: str) -> None:
        """Keep the row that answers why nobody was told."""
        telling = Telling(_bare(event), event.pk)
        self.box.add_unsent(None, telling, state=Notification.State.SUPPRESSED, why=why)

    def _known(self, group: Group) -> _Thread:
        thread = self._seen.get(group.pk)
        if thread is None:
            thread = self._seen[group.pk] = _Thread(group)
            self.threads[group.route_id, group.group_key] = thread
        return thread

    def _adopt(self, event: Event) -> list[_Place]:
        """Take over an alert that people were told of before there were threads."""
        begun = Event.objects.filter(dedup_key=event.dedup_key, pk__lt=event.pk).order_by("-pk")
        before = begun.first()
        if (
            before is None
            or before.status != _FIRING
            or before.routing != Event.Routing.ROUTED
            or before.decided
        ):
            return []
        found = self.book.routes_for(facts_of(event))[0]
        shared = {"alert": event.dedup_key}
        thread = self._open(event, found, grouping.key_of(shared), shared)
        thread.group.last_sent_at = before.routed_at
        thread.group.severity = before.severity
        row = GroupMember(
            group=thread.group,
            dedup_key=event.dedup_key,
            event=before,
            status=_FIRING,
            severity=before.severity,
            since=before.created_at,
            told=GroupMember.Told.FIRING,
            told_event_id=before.pk,
        )
        place = _Place(thread, row)
        self.places.setdefault(event.dedup_key, []).append(place)
        self._adopted.append((thread, event))
        return [place]


def _route_all(held: Held) -> int:
    """Route what waits, by its ids; where some fail together, one by one.

    What fails alone waits with all that follows of its alert, and is tried again in the next round.
    """
    failed: set[str] = set()
    routed = last = 0
    while found := list(
        _unrouted().filter(pk__gt=last).order_by("pk").values_list("pk", "dedup_key")[:BATCH]
    ):
        last = found[-1][0]
        keys = [pk for pk, alert in found if alert not in failed]
        try:
            routed += _route_batch(held, keys)
        except flushing.OF_ALL:
            raise
        except Exception:
            logger.exception("Events up to %s cannot be routed together.", last)
            routed += sum(_route_alone(held, pk, alert, failed) for pk, alert in found)
    return routed


def _route_alone(held: Held, pk: int, alert: str, failed: set[str]) -> int:
    if alert in failed:
        return 0
    try:
        return _route_batch(held, [pk])
    except flushing.OF_ALL:
        raise
    except Exception:
        logger.exception("Event %s cannot be routed; it is tried again.", pk)
        failed.add(alert)
        return 0


@transaction.atomic
def _route_batch(held: Held, keys: Sequence[int]) -> int:
    leases.fence(held)
    # By id: the row lock of its source orders the ids of one alert.
    events = list(_unrouted().filter(pk__in=keys).order_by("id"))
    now = timezone.now()
    batch = _Batch(read_book(now), now)
    batch.read(events)
    for event in events:
        batch.take(event)
    batch.write()
    return len(events)


def _take_over(group: Group, event: Event) -> None:
    """Let the messages of before belong to the thread, so that those they reached are told."""
    old = Notification.objects.filter(thread_key=event.dedup_key, group=None)
    last = old.aggregate(last=Max("seq"))["last"] or 0
    Group.objects.filter(pk=group.pk).update(last_seq=last)
    old.update(group=group, thread_key=thread_key(group.pk))


def _unrouted() -> QuerySet[Event]:
    return Event.objects.filter(routed_at__isnull=True)


def _own_name(event: Event) -> str:
    """Return a name of one piece of news; long keys may differ only at their end."""
    name = f"{event.dedup_key}#{event.transition_seq}"
    if len(name) <= _KEY_CHARACTERS:
        return name
    digest = idempotency_key(event.dedup_key, event.transition_seq)
    return f"{name[: _KEY_CHARACTERS - len(digest) - 1]}#{digest}"


def _said(silence: Silence) -> str:
    return f"Silenced until {silence.ends_at:%d %b %Y %H:%M} UTC: {silence.comment}"


def _news(event: Event) -> News:
    """Return what the console is told: no body, which may quote what a checked address answers."""
    data = {
        "title": event.title,
        "severity": event.severity,
        "status": event.status,
        "service": event.service,
        "url": path_of(event.links),
    }
    return News(ALERTS, "alert", data)


def _bare(event: Event) -> Message:
    reason = Notification.Reason.FIRST
    if event.status == _RESOLVED:
        reason = Notification.Reason.ALL_RESOLVED
    return Message(
        kind=event.kind,
        severity=event.severity,
        status=event.status,
        title=event.title,
        body=event.body,
        service=event.service,
        labels=event.labels,
        links=event.links,
        dedup_key=event.dedup_key,
        seq=event.transition_seq,
        occurred_at=event.created_at.isoformat(timespec="microseconds"),
        reason=reason,
        thread=f"{event.dedup_key}/{event.pk}",
    )
