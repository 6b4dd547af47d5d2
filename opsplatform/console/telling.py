"""What hinders that people are told: channels, routes, schedules, messages that did not leave."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils import timezone

from core.adminlists import told_count
from core.components import Tone
from notifications.models import Channel, Event, Notification, OnCallSchedule, Route, Silence
from notifications.selectors import escalation, holds, oncall, routing
from opsplatform.console.things import Problem, Thing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LATELY: Final = timedelta(days=7)
_MOST_COUNTED: Final = 1000
_NAMED: Final = 3
_SCHEDULES: Final = 20


def held_back() -> list[Problem]:
    """Return that no message leaves, as after a restore, until somebody says so."""
    hold = holds.current()
    if hold is None:
        return []
    page = reverse("admin:notifications_notification_changelist") + "?state__exact=pending"
    text = f"{hold.reason} Alerts are routed and wait until somebody releases them."
    return [Problem(Tone.BAD, "Messages are held back", text, page, "Open the queue")]


def _channels() -> Iterator[Thing]:
    page = reverse("admin:notifications_channel_changelist")
    channels = list(Channel.objects.order_by("name"))
    if not any(channel.enabled for channel in channels):
        yield Thing(Tone.BAD, "nobody", "No channel is enabled: alerts reach nobody", page)
    for channel in channels:
        if channel.health in {Channel.Health.FAILING, Channel.Health.PAUSED}:
            href = reverse("admin:notifications_channel_change", args=[channel.pk])
            text = f"Channel {channel.name}: {channel.get_kind_display()}"
            yield Thing(Tone.WARN, channel.health.value, text, href, channel.last_error)


def _routes() -> Iterator[Thing]:
    heard = Channel.objects.filter(enabled=True, is_for_people=False)
    silent = Route.objects.filter(enabled=True, chain=None).exclude(channels__in=heard)
    # The default route without channels of its own reaches every one.
    wrong = silent.exclude(is_default=True, channels=None).order_by("is_default", "position", "pk")
    for route in wrong[:_NAMED]:
        href = reverse("admin:notifications_route_page", args=[route.pk])
        text = f"Route {route.name} reaches nobody"
        yield Thing(Tone.BAD, "nobody", text, href, f"{routing.why_nobody(route)}.")


def _silences() -> Iterator[Thing]:
    for silence in Silence.objects.filter(routing.holding(timezone.now()), matchers=[])[:_NAMED]:
        href = reverse("admin:notifications_silence_page", args=[silence.pk])
        text = "Every alert is silenced"
        yield Thing(Tone.WARN, "silence", text, href, f"By {silence.author}: {silence.comment}")


def _gaps() -> Iterator[Thing]:
    asked = OnCallSchedule.objects.filter(steps__isnull=False).distinct().order_by("name")
    for schedule in asked[:_SCHEDULES]:
        now = timezone.now()
        if found := oncall.gaps(schedule, now):
            href = reverse("admin:notifications_oncallschedule_change", args=[schedule.pk])
            when = oncall.told(found[0], oncall.zone_of(schedule), now)
            text = f"Nobody is on call in {schedule.name}: {when}"
            tone = Tone.BAD if found[0].starts <= now else Tone.WARN
            yield Thing(tone, "gap", text, href, "Fill the gap, or let somebody stand in.")


def _unanswered() -> Iterator[Thing]:
    for run in islice(escalation.unanswered(), _NAMED):
        href = reverse("admin:notifications_group_change", args=[run.group_id])
        text = f"Nobody acknowledged: {run.group.title}"
        yield Thing(Tone.BAD, "unanswered", text, href, f"Escalation {run.chain_name} has ended.")


def _unheard() -> Iterator[Thing]:
    lately = Event.objects.filter(
        routing=Event.Routing.NO_CHANNEL, created_at__gt=timezone.now() - _LATELY
    )
    if count := lately.order_by("-id")[:_MOST_COUNTED].count():
        page = reverse("admin:notifications_event_changelist") + "?routing__exact=no_channel"
        text = (
            f"{told_count(count, _MOST_COUNTED)} alert{_s(count)} of the last 7 days reached nobody"
        )
        yield Thing(Tone.WARN, "unheard", text, page)


def _dead() -> Iterator[Thing]:
    page = reverse("admin:notifications_notification_changelist")
    if count := Notification.objects.lost()[:_MOST_COUNTED].count():
        text = f"{told_count(count, _MOST_COUNTED)} message{_s(count)} could not be delivered"
        detail = "Try again once the channel works, or set aside."
        yield Thing(Tone.WARN, "dead", text, f"{page}?dead=lost", detail)
    if count := Notification.objects.for_nobody()[:_MOST_COUNTED].count():
        text = f"{told_count(count, _MOST_COUNTED)} message{_s(count)} had nobody to go to"
        detail = "Each tells what to mend. Set aside what is mended."
        yield Thing(Tone.WARN, "nobody", text, f"{page}?dead=nobody", detail)


def _s(count: int) -> str:
    return "" if count == 1 else "s"


LOOKS: Final[tuple[tuple[str, Callable[[], Iterator[Thing]]], ...]] = (
    ("notifications.view_channel", _channels),
    ("notifications.view_route", _routes),
    ("notifications.view_escalationrun", _unanswered),
    ("notifications.view_oncallschedule", _gaps),
    ("notifications.view_silence", _silences),
    ("notifications.view_event", _unheard),
    ("notifications.view_notification", _dead),
)
"""Where to look, and who may."""
