"""What a thread says: one message about one alert, or about many together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from notifications.engine import grouping
from notifications.engine.base import ACKNOWLEDGE, MOST_ALERTS, Message
from notifications.models import Event, Group, GroupMember, Notification

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

_FIRING: Final = Event.Status.FIRING.value
_RESOLVED: Final = Event.Status.RESOLVED.value
_INFO: Final = Event.Status.INFO.value
_CRITICAL: Final = Event.Severity.CRITICAL.value
_Reason = Notification.Reason
_OF_NEWS: Final = {
    _Reason.FIRST,
    _Reason.NEW_ALERTS,
    _Reason.UPDATE,
    _Reason.NEW_RESOLVED,
    _Reason.STORM,
}
_ENDS: Final = {_Reason.NEW_RESOLVED, _Reason.ALL_RESOLVED}
_THREAD: Final = "thread"


@dataclass(slots=True)
class Member:
    """How one alert of a thread stands; a row without what only pages need."""

    pk: int
    group_id: int
    dedup_key: str
    event_id: int
    status: str
    severity: str
    since: datetime
    told: str
    told_event_id: int
    acked_at: datetime | None
    acked_severity: str

    @property
    def is_news(self) -> bool:
        """Tell whether people know less of it than we do."""
        if self.status == _RESOLVED:
            return self.told == _FIRING
        return self.told != self.status or self.told_event_id != self.event_id

    @property
    def is_over_unheard(self) -> bool:
        """Tell whether it is over and people have not heard that it held."""
        is_unheard = self.told != _FIRING and self.told_event_id != self.event_id
        return self.status == _RESOLVED and is_unheard

    @property
    def is_acknowledged(self) -> bool:
        """Tell whether somebody takes care of it, as it stands."""
        if self.acked_at is None or self.acked_at < self.since:
            return False
        return self.severity != _CRITICAL or self.acked_severity in {"", _CRITICAL}


@dataclass(frozen=True, slots=True)
class Telling:
    """A message without its receiver, and the newest event that it tells of."""

    message: Message
    event_id: int
    lasted: str = ""
    """For how long it held, if it is over."""
    urgency: str = ""
    """As grave as the gravest of its news; the message itself tells what still holds."""


def members_of(group_ids: Iterable[int]) -> dict[int, list[Member]]:
    """Return the alerts of threads, the newest first."""
    found: dict[int, list[Member]] = {pk: [] for pk in group_ids}
    rows = GroupMember.objects.filter(group__in=found).order_by("-event_id")
    for row in rows.values_list(*Member.__dataclass_fields__):
        member = Member(*row)
        found[member.group_id].append(member)
    return found


def listed(members: Sequence[Member], reason: str) -> list[Member]:
    """Return of which alerts a message tells, what is new first."""
    if reason == _Reason.ALL_RESOLVED:
        wanted = [m for m in members if m.is_news or (m.status == _RESOLVED and m.told)]
    elif reason in _OF_NEWS:
        wanted = [m for m in members if m.status == _FIRING or m.is_news]
    else:
        wanted = [m for m in members if m.status == _FIRING]
    return sorted(wanted, key=lambda m: (not m.is_news, _last(m, reason)))


def events_of(chosen: Iterable[Sequence[Member]]) -> dict[int, Event]:
    """Return the newest events of the alerts that messages name."""
    ids = {member.event_id for members in chosen for member in members[:MOST_ALERTS]}
    rows: QuerySet[Event] = Event.objects.defer("decided", "raised_by", "suppressed_by")
    return rows.in_bulk(ids)


def compose(
    group: Group,
    chosen: Sequence[Member],
    events: Mapping[int, Event],
    *,
    reason: str,
    seq: int,
    note: str = "",
    urgency: str = "",
) -> Telling:
    """Return what a thread says of these alerts, of which there is at least one."""
    lead = chosen[0]
    event = events[lead.event_id]
    firing = [m for m in chosen if m.status == _FIRING]
    resolved = [m for m in chosen if m.status == _RESOLVED]
    is_over = not firing and bool(resolved)
    severity = grouping.worst(m.severity for m in firing or chosen) if not is_over else ""
    is_single = len(chosen) == 1
    length = _length(chosen, events) if is_over else ""
    message = Message(
        kind=event.kind,
        severity=severity or group.severity or event.severity,
        status=_RESOLVED if is_over else (_FIRING if firing else _INFO),
        title=event.title if is_single else _title(group, chosen, event, reason)[:300],
        body=event.body if is_single else "",
        service=event.service if is_single else group.common.get("service", ""),
        labels=event.labels if is_single else _labels(group),
        links=event.links if is_single else _links(group),
        dedup_key=dedup_key_of(group),
        seq=seq,
        occurred_at=event.created_at.isoformat(timespec="microseconds"),
        reason=reason,
        thread=group.key.hex,
        alerts=[] if is_single else [_alert(m, events[m.event_id]) for m in chosen[:MOST_ALERTS]],
        firing=len(firing),
        resolved=len(resolved),
        note=note,
    )
    return Telling(message, lead.event_id, length, urgency or message.severity)


def dedup_key_of(group: Group) -> str:
    """Return by what receivers know what belongs together: the alert's own key where it is one.

    It follows from what the thread was opened with, so it stays when somebody edits the route.
    """
    alert: str | None = group.common.get("alert")
    return alert if alert is not None and group.group_key != grouping.STORM_KEY else group.key.hex


def acknowledge_link(group: Group) -> dict[str, str]:
    """Return the link by which those of a shared channel get to acknowledge in the console."""
    url = thread_url(group.pk)
    return {ACKNOWLEDGE: url} if url else {}


def thread_url(group_id: int) -> str:
    """Return the address of a thread in the console; empty while it has no page."""
    pattern = _page()
    return (
        settings.BASE_URL.rstrip("/") + pattern.replace("/0/", f"/{group_id}/") if pattern else ""
    )


def path_of(links: Mapping[str, str]) -> str:
    """Return where the console leads: a path, which works under every name of the platform."""
    url = links.get("incident") or next(iter(links.values()), "")
    return url.removeprefix(settings.BASE_URL.rstrip("/"))


@lru_cache(maxsize=1)
def _page() -> str:
    try:
        return reverse("admin:notifications_group_change", args=[0])
    except NoReverseMatch:
        return ""


def _last(member: Member, reason: str) -> tuple[int, int]:
    is_first = member.status == (_RESOLVED if reason in _ENDS else _FIRING)
    return (not is_first, -member.event_id)


def _title(group: Group, chosen: Sequence[Member], event: Event, reason: str) -> str:
    firing = sum(m.status == _FIRING for m in chosen)
    news = sum(m.is_news for m in chosen)
    subject = ", ".join(value for value in group.common.values() if value) or group.route_name
    if reason == _Reason.STORM:
        return f"{len(chosen):,} alerts at once"
    if group.group_key == grouping.STORM_KEY:
        subject = "Many alerts"
    if reason == _Reason.ALL_RESOLVED:
        return _title_of_end(subject, chosen, event)
    if reason == _Reason.NEW_RESOLVED and news > 1:
        return f"{subject}: {news:,} more are over, {firing:,} still hold"
    if reason in {_Reason.NEW_ALERTS, _Reason.UPDATE, _Reason.NEW_RESOLVED} and news == 1:
        return event.title
    if reason == _Reason.NEW_ALERTS:
        return f"{subject}: {news:,} more alerts, {len(chosen):,} in all"
    if reason in {_Reason.FIRST, _Reason.UPDATE}:
        return f"{subject}: {news:,} alerts"
    return f"{subject}: {firing:,} alerts hold" if firing > 1 else event.title


def _title_of_end(subject: str, chosen: Sequence[Member], event: Event) -> str:
    over = sum(m.status == _RESOLVED for m in chosen)
    more = len(chosen) - over
    title = f"{subject}: all {over:,} alerts are over" if over > 1 else event.title
    if not more:
        return title
    return f"{title}; {more:,} more {'messages' if more > 1 else 'message'}"


def _labels(group: Group) -> dict[str, str]:
    return {name: str(value) for name, value in group.common.items() if value and name != "alert"}


def _links(group: Group) -> dict[str, str]:
    url = thread_url(group.pk)
    return {_THREAD: url} if url else {}


def _alert(member: Member, event: Event) -> dict[str, str]:
    return {
        "title": event.title,
        "severity": member.severity,
        "status": member.status,
        "service": event.service,
        "since": member.since.isoformat(timespec="seconds"),
        "url": event.links.get("incident") or next(iter(event.links.values()), ""),
    }


def _length(chosen: Sequence[Member], events: Mapping[int, Event]) -> str:
    ends = [events[m.event_id].created_at for m in chosen if m.event_id in events]
    begins = [m.since for m in chosen if m.status == _RESOLVED]
    return grouping.lasted((max(ends) - min(begins)).total_seconds())
