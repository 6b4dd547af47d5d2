"""What the page of one thread shows: its alerts, and its story from the first to the last."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html

from core.components import Column, Table, badge, when
from notifications.admin.words import (
    WHY,
    joined,
    page_of,
    severity_badge,
    span,
    state_badge,
    told_to,
)
from notifications.engine.wording import is_web
from notifications.models import EscalationRun, Event, Notification
from notifications.selectors import routing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from django.http import HttpRequest

    from notifications.models import Group, GroupMember, Silence

ACKNOWLEDGE: Final = "notifications.acknowledge_group"
_MEMBERS_SHOWN: Final = 50
_MESSAGES_SHOWN: Final = 200
_EVENTS_SHOWN: Final = 100
_RUNS_SHOWN: Final = 5
_State = Notification.State
_TONES: Final = {
    Event.Status.FIRING: "bad",
    Event.Status.RESOLVED: "ok",
    Event.Status.INFO: "info",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to a thread."""

    at: datetime
    title: str
    tone: str = ""
    text: str = ""
    receivers: list[tuple[str, str, str]] = field(default_factory=list)
    """Of messages: how each stands, where it went with a link, and what went wrong."""


def thread_context(request: HttpRequest, group: Group) -> dict[str, Any]:
    """Return what the page of a thread shows."""
    may = request.user.has_perm
    members = list(
        group.members.select_related("event").order_by("status", "-since")[:_MEMBERS_SHOWN]
    )
    firing = group.members.filter(status=Event.Status.FIRING).count()
    shown: dict[str, Any] = {
        "title": group.title,
        "state": standing(group, firing),
        "severity": severity_badge(group.severity, is_over=not group.is_open),
        "firing": firing,
        "alerts": _alerts(request, members),
        "left_out": max(0, group.members.count() - len(members)),
        "ack_url": "",
        "silence_url": "",
        "incident_url": _incident(members),
        "timeline": _timeline(request, group, members),
        "facts": list(_facts(request, group)),
        "messages_url": "",
        "silence": "",
    }
    if firing and (silence := _silence(members)):
        name = page_of(request, "silence", silence.pk, silence.comment)
        shown["silence"] = format_html(
            "A silence keeps it from people until {}: {}.", when(silence.ends_at), name
        )
    if group.is_open and group.acked_at is None and firing and may(ACKNOWLEDGE):
        shown["ack_url"] = reverse("admin:notifications_group_acknowledge", args=[group.pk])
    if may("notifications.add_silence"):
        shown["silence_url"] = f"{reverse('admin:notifications_silence_add')}?group={group.pk}"
    if may("notifications.view_notification"):
        queue = reverse("admin:notifications_notification_changelist")
        shown["messages_url"] = f"{queue}?thread={group.pk}"
    return shown


def standing(group: Group, firing: int) -> str:
    """Return how a thread stands, as a badge."""
    if not group.is_open:
        return badge("closed", "Over")
    if group.acked_at is not None:
        return badge("acknowledged")
    if not firing:
        return badge("resolved", "Nothing holds")
    return badge("firing", "Firing" if firing == 1 else f"{firing:,} firing")


def _alerts(request: HttpRequest, members: Iterable[GroupMember]) -> Table:
    return Table(
        columns=[
            Column("Status"),
            Column("Alert"),
            Column("Severity", room="medium"),
            Column("Service", room="medium"),
            Column("Since"),
            Column("People know", room="wide"),
        ],
        rows=[
            [
                badge(member.status),
                page_of(request, "event", member.event_id, member.event.title),
                severity_badge(member.severity, is_over=member.status != Event.Status.FIRING),
                member.event.service or "-",
                when(member.since),
                _known(member),
            ]
            for member in members
        ],
        caption="Its alerts",
        empty="No alert is left in it.",
    )


def _known(member: GroupMember) -> str:
    """Return what people were told of an alert last."""
    if not member.told:
        return "nothing yet"
    is_news = member.told_event_id != member.event_id and member.status != member.told
    return f"that it was {member.get_told_display().lower()}" if is_news else "how it stands"


def _silence(members: Iterable[GroupMember]) -> Silence | None:
    """Return the silence that keeps back every alert that holds, the last of them to end."""
    book = routing.read_book(timezone.now())
    if not book.silences:
        return None
    found = [
        book.silence_of(routing.facts_of(member.event))
        for member in members
        if member.status == Event.Status.FIRING
    ]
    kept = [silence for silence in found if silence is not None]
    return max(kept, key=lambda row: row.ends_at) if kept and len(kept) == len(found) else None


def _incident(members: Iterable[GroupMember]) -> str:
    found = (member.event.links.get("incident", "") for member in members)
    return next((url for url in found if is_web(url)), "")


def _timeline(request: HttpRequest, group: Group, members: Iterable[GroupMember]) -> list[Moment]:
    moments = [Moment(group.opened_at, "The thread began", "info"), *_of_events(group, members)]
    if request.user.has_perm("notifications.view_notification"):
        moments += _of_messages(request, group)
    if request.user.has_perm("notifications.view_escalationrun"):
        moments += _of_escalations(group)
    if group.acked_at is not None:
        moments.append(Moment(group.acked_at, f"{group.acked_name} acknowledged", "warn"))
    if group.closed_at is not None:
        moments.append(Moment(group.closed_at, "The thread ended", "ok"))
    return sorted(moments, key=lambda moment: moment.at, reverse=True)


def _of_events(group: Group, members: Iterable[GroupMember]) -> Iterator[Moment]:
    keys = [member.dedup_key for member in members]
    # An event is raised before the router opens a thread for it.
    first = min((member.since for member in members), default=group.opened_at)
    found = Event.objects.filter(
        dedup_key__in=keys,
        created_at__gte=min(first, group.opened_at),
        created_at__lte=group.closed_at or timezone.now(),
    )
    for event in found.only("title", "status", "created_at").order_by("-id")[:_EVENTS_SHOWN]:
        status = Event.Status(event.status)
        yield Moment(
            event.created_at, event.title, _TONES[status], f"Alert: {status.label.lower()}"
        )


def _of_messages(request: HttpRequest, group: Group) -> Iterator[Moment]:
    newest = group.notifications.select_related("user").defer("payload")
    found = list(newest.order_by("-seq", "-pk")[:_MESSAGES_SHOWN])
    for (_seq, reason), rows in groupby(found, key=lambda row: (row.seq, row.reason)):
        sent = list(rows)
        counts = Counter(Notification.State(row.state).label.lower() for row in sent)
        told = ", ".join(f"{count} {word}" for word, count in counts.items())
        yield Moment(
            at=min(row.created_at for row in sent),
            title=f"Message: {Notification.Reason(reason).label.lower()}",
            tone=_tone(sent),
            text=f"{WHY[reason]} {told}.",
            receivers=[
                (
                    state_badge(row),
                    page_of(request, "notification", row.pk, told_to(row)),
                    row.last_error,
                )
                for row in sent
            ],
        )


def _tone(sent: Iterable[Notification]) -> str:
    states = {row.state for row in sent}
    if _State.DEAD in states:
        return "warn"
    return "info" if states & {_State.SENT, _State.PENDING} else "unknown"


def _of_escalations(group: Group) -> Iterator[Moment]:
    for run in group.escalations.order_by("-pk")[:_RUNS_SHOWN]:
        # The newest first, as also those of one moment are shown.
        yield from reversed(list(_of_run(run)))


def _of_run(run: EscalationRun) -> Iterator[Moment]:
    yield Moment(run.started_at, f"Escalation {run.chain_name} began", "warn", _next(run))
    for entry in run.log:
        at = parse_datetime(str(entry.get("at", "")))
        if at is None:
            continue
        step = entry.get("step") or ""
        title = f"Escalation {run.chain_name}" + (f": step {step}" if step else "")
        yield Moment(at, title, "warn", _said(entry))
    if run.ended_at is not None:
        tone = "bad" if run.state == EscalationRun.State.EXHAUSTED else "ok"
        words = f"Escalation {run.chain_name}: {run.get_state_display().lower()}"
        yield Moment(run.ended_at, words, tone)


def _next(run: EscalationRun) -> str:
    if run.next_step_at is None:
        return ""
    return format_html("Its next step comes {}.", when(run.next_step_at))


def _said(entry: dict[str, Any]) -> str:
    """Return in words whom a step told, and whom it could not."""
    names, told = entry.get("names"), entry.get("told")
    words = str(entry.get("why") or "")
    if names:
        more = f" {words[:1].upper()}{words[1:].rstrip('.')}." if words else ""
        return f"It told {joined(names)}.{more}"
    # Steps of before the names were kept know only how many.
    return words or (f"It reached {told}." if told else "It reached nobody.")


def last_message(group: Group) -> datetime | None:
    """Return when people were sent something last, by whatever decided it."""
    sent = group.notifications.exclude(channel_name="").order_by("-seq", "-pk")
    newest = sent.values_list("created_at", flat=True).first()
    return max(filter(None, (group.last_sent_at, newest)), default=None)


def _facts(request: HttpRequest, group: Group) -> Iterator[tuple[str, object]]:
    yield "Route", page_of(request, "route", group.route_id, group.route_name)
    for name, value in group.common.items():
        if name != "alert":
            yield name.removeprefix("label.").capitalize(), value or "none"
    yield "Began", when(group.opened_at)
    end = group.closed_at or timezone.now()
    yield "Lasted" if group.closed_at else "For", span(end - group.opened_at)
    if group.flush_at is not None:
        yield "Next message", when(group.flush_at)
    if group.repeat_at is not None and group.acked_at is None:
        yield "Told again", when(group.repeat_at)
    if (last := last_message(group)) is not None:
        yield "Last message", when(last)
    yield "Messages decided", group.last_seq
    if group.acked_at is not None:
        yield "Acknowledged", when(group.acked_at)
        yield "By", group.acked_name
        yield "Holds until", when(group.ack_expires_at, "it is over")
