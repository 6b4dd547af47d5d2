"""The way out: messages of a thread become rows of the outbox, one for each recipient."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from core.loops import wake
from notifications.engine.audiences import of_user
from notifications.engine.base import ACKNOWLEDGE, idempotency_key
from notifications.models import Channel, Event, Group, Notification
from notifications.models.notifications import LIFETIME
from notifications.selectors import people
from notifications.selectors.routing import quiet_hours_of, quiet_until, unique
from notifications.selectors.silenced import silenced_members
from notifications.selectors.targets import Target, targets_of_channels
from notifications.services import live
from notifications.services.composing import (
    acknowledge_link,
    compose,
    events_of,
    listed,
    members_of,
    path_of,
)
from notifications.services.live import News

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from notifications.services.composing import Telling

__all__ = [
    "RECIPIENT_CHARACTERS",
    "Outbox",
    "Target",
    "enqueue",
    "note_unsent",
    "priority_of",
    "reached",
    "targets_of_channels",
    "thread_key",
]

RECIPIENT_CHARACTERS: Final = 320
ERROR_CHARACTERS: Final = 300
SUPERSEDED: Final = "Not sent: a newer message of its thread says all of it."

_Reason = Notification.Reason
_State = Notification.State
_PRIORITIES: Final = {
    Event.Severity.CRITICAL: Notification.Priority.CRITICAL,
    Event.Severity.WARNING: Notification.Priority.WARNING,
    Event.Severity.INFO: Notification.Priority.INFO,
}
# What an acknowledgement answers, and what a repeat gives way to.
_ANSWERED: Final = frozenset({_Reason.ESCALATION, _Reason.ACK_EXPIRED, _Reason.REPEAT})
_GIVES_WAY: Final = frozenset({_Reason.REPEAT})
# What tells of all that holds in a thread.
_OF_ALL: Final = _ANSWERED | {
    _Reason.FIRST,
    _Reason.NEW_ALERTS,
    _Reason.UPDATE,
    _Reason.NEW_RESOLVED,
    _Reason.STORM,
}


# What calls people says nothing of alerts that are silenced.
_CALLS: Final = frozenset({_Reason.ESCALATION, _Reason.ACK_EXPIRED})


def priority_of(severity: str) -> Notification.Priority:
    """Return how soon messages of a severity leave, compared with others."""
    return _PRIORITIES[Event.Severity(severity)]


def thread_key(group_id: int) -> str:
    """Return by what the outbox keeps messages of a thread in their order."""
    return f"group:{group_id}"


@transaction.atomic
def enqueue(
    group: Group, *, targets: Sequence[Target], reason: str, note: str = ""
) -> list[Notification]:
    """Tell these recipients how a thread stands; return the messages, none if nothing of it holds.

    The caller holds the lock of the group. The messages share the next number of the thread. What
    quiet hours hold back is counted among them. Call it last in a transaction: it tells the
    people's own feeds, whose locks others wait for.
    """
    chosen = listed(members_of([group.pk])[group.pk], reason)
    if reason in _CALLS:
        kept_back = silenced_members(group, timezone.now())
        chosen = [member for member in chosen if member.pk not in kept_back]
    found = unique(targets)
    if not chosen or not found:
        return []
    Group.objects.filter(pk=group.pk).update(last_seq=F("last_seq") + 1)
    group.refresh_from_db(fields=["last_seq"])
    telling = compose(
        group, chosen, events_of([chosen]), reason=reason, seq=group.last_seq, note=note
    )
    box = Outbox()
    box.add(group, telling, found)
    return box.write()


@transaction.atomic
def note_unsent(group: Group, *, reason: str, why: str) -> Notification:
    """Keep why nobody was told; the caller holds the lock of the group."""
    chosen = members_of([group.pk])[group.pk]
    Group.objects.filter(pk=group.pk).update(last_seq=F("last_seq") + 1)
    group.refresh_from_db(fields=["last_seq"])
    telling = compose(group, chosen, events_of([chosen]), reason=reason, seq=group.last_seq)
    box = Outbox()
    box.add_unsent(group, telling, state=_State.DEAD, why=why)
    return box.write()[0]


def reached(group: Group) -> list[Target]:
    """Return whom the messages of a thread went to, or go to when quiet hours end."""
    return reached_by([group.pk])[group.pk]


def reached_by(
    group_ids: Iterable[int], *, with_switched_off: bool = False
) -> dict[int, list[Target]]:
    """Return whom the messages of each thread went to, and whose channel is still switched on.

    People are judged by their rights and addresses now. What goes to a channel that is switched
    off waits there, so that whoever was told of a beginning hears of the end.
    """
    found: dict[int, list[Target]] = {pk: [] for pk in group_ids}
    channels_in_use = {} if with_switched_off else {"channel__enabled": True}
    rows = (
        Notification.objects.filter(group__in=found, channel__isnull=False, **channels_in_use)
        .exclude(state__in=[_State.SUPPRESSED, _State.CANCELLED])
        .order_by("group", "channel", "recipient", "user")
        .values_list("group", "channel", "recipient", "user")
        .distinct()
    )
    told = cast("list[tuple[int, UUID, str, UUID | None]]", list(rows))
    channels = Channel.objects.in_bulk({channel for _, channel, _, _ in told})
    ways = ways_of({user for *_, user in told if user is not None})
    for group, channel, recipient, user in told:
        if user is None:
            found[group].append(Target(channels[channel], recipient))
        elif target := ways.get((user, channel)):
            found[group].append(target)
    return {pk: unique(targets) for pk, targets in found.items()}


def ways_of(user_ids: Collection[UUID]) -> dict[tuple[UUID, UUID], Target]:
    """Return how people may be reached now, by person and channel; none who has lost the right."""
    found = people.targets_of(user_ids, Event.Severity.CRITICAL) if user_ids else []
    return {(target.user_id, target.channel.pk): target for target in found if target.user_id}


def untried_by(group_ids: Iterable[int]) -> set[tuple[int, UUID, str]]:
    """Return for whom a message of these threads still waits, leaving out mere repeats."""
    keys = list(group_ids)
    if not keys:
        return set()
    rows = Notification.objects.filter(_untried(), group__in=keys, channel__isnull=False)
    rows = rows.exclude(reason=_Reason.REPEAT)
    return set(rows.values_list("group", "channel", "recipient"))


@dataclass(slots=True)
class Outbox:
    """Messages of one transaction, written together at its end."""

    rows: list[Notification] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    now: datetime = field(default_factory=timezone.now)
    _lasted: dict[int, str] = field(default_factory=dict)
    _quiet: dict[UUID, Any] = field(default_factory=dict)
    _asked: set[UUID] = field(default_factory=set)

    def add(self, group: Group, telling: Telling, targets: Sequence[Target]) -> None:
        """Add one message to each target; in quiet hours it is held, unless it is critical."""
        message = telling.message
        payload = message.to_payload()
        shared = payload
        if _is_open(group, telling):
            # Where the thread itself is the link already, its page has the button.
            known = set(message.links.values())
            more = {n: url for n, url in acknowledge_link(group).items() if url not in known}
            shared = {**payload, "links": {**message.links, **more}}
        self._learn_quiet(targets)
        for target in targets:
            row = self._row(group, telling, str(target.channel.pk), target.recipient)
            row.channel = target.channel
            row.channel_name = target.channel.name
            # Addresses of a variable come as they are written; a longer one must not stop the rest.
            row.recipient = target.recipient[:RECIPIENT_CHARACTERS]
            row.user_id = target.user_id
            # Whoever is told in person gets a link of their own while it is sent.
            row.payload = dict(shared if target.user_id is None else payload)
            until = quiet_until(target, self._quiet, row.severity, self.now)
            if until is not None:
                row.state = _State.HELD
                row.next_at = until
                row.expires_at = until + LIFETIME
            if target.user_id is not None:
                self.news.append(_news(group, telling, target.user_id))
            if telling.lasted and message.reason == _Reason.ALL_RESOLVED:
                self._lasted[len(self.rows)] = telling.lasted
            self.rows.append(row)

    def add_unsent(
        self, group: Group | None, telling: Telling, *, state: Notification.State, why: str
    ) -> None:
        """Add the row that answers why nobody was told."""
        row = self._row(group, telling, "", "")
        row.state = state
        row.last_error = why[:ERROR_CHARACTERS]
        self.rows.append(row)

    def write(self, *, older: Iterable[int] | None = None) -> list[Notification]:
        """Insert the rows, take back what they say anew, then tell the console; return the rows.

        `older` names the threads that may have untried messages; without it, all are asked.
        """
        wanted = {row.group_id for row in self.rows if row.group_id} if older is None else older
        superseding = self._superseding(set(wanted)) if wanted else {}
        Notification.objects.bulk_create(self.rows, batch_size=500)
        if self.rows:
            # The dispatcher of this process need not wait for its next look; others look soon.
            transaction.on_commit(partial(wake, "notifications.dispatch"), robust=True)
        for index, keys in superseding.items():
            untried = Notification.objects.filter(_untried(), pk__in=keys)
            untried.update(
                state=_State.SUPERSEDED, superseded_by=self.rows[index], last_error=SUPERSEDED
            )
        # Last, so that the lock on the feeds is held for the shortest time.
        live.append(self.news)
        return self.rows

    def _row(
        self, group: Group | None, telling: Telling, channel: str, recipient: str
    ) -> Notification:
        message = telling.message
        return Notification(
            event_id=telling.event_id,
            group=group,
            thread_key=thread_key(group.pk) if group is not None else message.dedup_key,
            seq=message.seq,
            severity=telling.urgency or message.severity,
            priority=priority_of(telling.urgency or message.severity),
            reason=message.reason,
            title=message.title,
            payload=message.to_payload() if not channel else {},
            # With the time, a message of a restored database never passes for the one it replaces.
            idempotency_key=idempotency_key(
                message.thread,
                message.seq,
                message.reason,
                self.now.isoformat(timespec="microseconds"),
                channel,
                recipient,
            ),
            created_at=self.now,
            next_at=self.now,
            expires_at=self.now + LIFETIME,
        )

    def _learn_quiet(self, targets: Sequence[Target]) -> None:
        unknown = {t.user_id for t in targets if t.user_id is not None} - self._asked
        if unknown:
            self._quiet |= quiet_hours_of(unknown)
            self._asked |= unknown

    def _superseding(self, group_ids: set[int]) -> dict[int, list[int]]:
        """Return by the place of each new row which untried ones it makes needless.

        A message that says all is over says the beginning too, so nobody is woken by what has
        ended meanwhile. Then it tells how long it lasted.
        """
        older: dict[tuple[int | None, UUID | None, str], list[Notification]] = defaultdict(list)
        rows = Notification.objects.filter(_untried(), group__in=group_ids)
        # What is told once is not said by the message that something else is over.
        for row in rows.exclude(payload__status="info").defer("payload"):
            older[row.group_id, row.channel_id, row.recipient].append(row)
        found: dict[int, list[int]] = {}
        if not older:
            return found
        for index, row in enumerate(self.rows):
            before = [
                old
                for old in older.get((row.group_id, row.channel_id, row.recipient), ())
                if old.seq < row.seq and _gives_way(old, row)
            ]
            if not before:
                continue
            found[index] = [old.pk for old in before]
            if index in self._lasted:
                row.payload["note"] = f"It lasted {self._lasted[index]}."
        self._take_back_strays(older, found)
        return found

    def _take_back_strays(
        self,
        older: Mapping[tuple[int | None, UUID | None, str], Sequence[Notification]],
        found: dict[int, list[int]],
    ) -> None:
        """Where all is over, also take back what waits for those who are not told any more."""
        ends: dict[int, int] = {}
        told = set()
        for index, row in enumerate(self.rows):
            if row.group_id is not None and row.channel_id is not None:
                told.add((row.group_id, row.channel_id, row.recipient))
                if row.reason == _Reason.ALL_RESOLVED:
                    ends.setdefault(row.group_id, index)
        for target, rows in older.items():
            end = ends.get(target[0]) if target[0] is not None else None
            if end is not None and target not in told:
                strays = [old.pk for old in rows if old.seq < self.rows[end].seq]
                found.setdefault(end, []).extend(strays)


def _gives_way(old: Notification, new: Notification) -> bool:
    if new.reason == _Reason.ALL_RESOLVED:
        return True
    if new.reason == _Reason.ACKNOWLEDGED:
        return old.reason in _ANSWERED
    if old.state == _State.HELD and new.state == _State.PENDING and new.reason in _OF_ALL:
        # At the end of quiet hours it would come after what tells of more.
        return True
    return old.reason in _GIVES_WAY


def _untried() -> Q:
    waiting = Q(state__in=[_State.HELD, _State.PENDING])
    return waiting & Q(attempts=0, lease_token__isnull=True)


def _is_open(group: Group, telling: Telling) -> bool:
    message = telling.message
    is_asked = message.status == Event.Status.FIRING and group.acked_at is None
    return is_asked and ACKNOWLEDGE not in message.links


def _news(group: Group, telling: Telling, user_id: UUID) -> News:
    message = telling.message
    is_answer = message.reason == _Reason.ACKNOWLEDGED
    data = {
        "title": message.title,
        "severity": message.severity,
        "status": "acknowledged" if is_answer else message.status,
        "reason": str(message.reason),
        "text": message.note,
        "service": message.service,
        "url": path_of(message.links),
        "group": group.pk,
    }
    return News(of_user(user_id), "message", data)
