"""What strangers may know: the read model of the status page.

It holds names, states, times and what people wrote for the page: never a URL of a check, an
answer, a person, or a service that is not on the page.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Final

from django.db.models import Exists, Min, OuterRef, Q
from django.utils import timezone

from core.components import Tone
from reliability.engine.strikes import State
from reliability.models import (
    Incident,
    IncidentEvent,
    MaintenanceOccurrence,
    MaintenanceWindow,
    Service,
)
from reliability.models.incidents import IS_OVER
from reliability.selectors import bars, history, ranks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from core.charts import Bar, StatusBar

DAYS: Final = 90
PAST_DAYS: Final = 14
AHEAD_DAYS: Final = 14
PER_PAGE: Final = 50
MOST_INCIDENTS: Final = 50
"""So many are shown in one place; more of them tell nobody anything."""
_UPDATES_SHOWN: Final = 20
_DAYS_TOLD: Final = 10

_DAY: Final = 86_400_000_000
"""In microseconds."""

MAINTENANCE: Final = "Maintenance"
_WORDS: Final = {
    State.DOWN: ("Outage", Tone.BAD),
    State.RECOVERING: ("Outage", Tone.BAD),
    # One failed probe is a suspicion and no outage.
    State.SUSPECT: ("Operational", Tone.OK),
    State.DEGRADED: ("Degraded", Tone.WARN),
    State.UNKNOWN: ("No data", Tone.UNKNOWN),
    State.UP: ("Operational", Tone.OK),
}
# Visitors feel an outage, but neither a budget nor a certificate that holds for days.
_FELT: Final = Q(dedup_key__startswith="availability:") | Q(dedup_key__startswith="check:")
_MONTH: Final = re.compile(r"[0-9]{4}-[0-9]{2}")
_TROUBLE: Final = {"Outage": 0, "Degraded": 1, MAINTENANCE: 2}
_TOLD: Final = {
    IncidentEvent.Kind.OPENED.value: "Investigating",
    IncidentEvent.Kind.ACKNOWLEDGED.value: "Being worked on",
    IncidentEvent.Kind.MITIGATED.value: "Mitigated",
    IncidentEvent.Kind.REOPENED.value: "Happening again",
    IncidentEvent.Kind.RESOLVED.value: "Resolved",
    IncidentEvent.Kind.UPDATE.value: "Update",
}


@dataclass(frozen=True, slots=True)
class Component:
    """A service of the page: its public name, how it stands, and its last 90 days."""

    name: str
    word: str
    tone: Tone
    bar: StatusBar
    availability: str
    known: str
    """How much of the days is known of a service that is younger; empty for others."""

    @property
    def trouble(self) -> list[Bar]:
        """The days that were not simply good, the newest first."""
        told = [bar for bar in self.bar.bars if bar.shade not in {"ok", "none"}]
        return told[: -_DAYS_TOLD - 1 : -1]


@dataclass(frozen=True, slots=True)
class Update:
    """One line of what the page tells about an incident."""

    at: datetime
    word: str
    text: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """An incident as strangers read of it."""

    key: int
    name: str
    word: str
    tone: Tone
    began_at: datetime
    ended_at: datetime | None
    updates: tuple[Update, ...]

    @property
    def title(self) -> str:
        """Return what is wrong with what."""
        return f"{self.name}: {self.word.lower()}"

    @property
    def lasted(self) -> str:
        """Return how long it lasted, or lasts."""
        end = self.ended_at or timezone.now()
        return bars.span(round((end - self.began_at).total_seconds() * 1_000_000))

    @property
    def updated_at(self) -> datetime:
        """Return when something of it was told last."""
        return max([self.began_at, *(update.at for update in self.updates)])


@dataclass(frozen=True, slots=True)
class Planned:
    """A maintenance that holds or is to come."""

    key: int
    title: str
    text: str
    starts_at: datetime
    ends_at: datetime
    names: tuple[str, ...]
    """The services of the page that it touches; empty for all of them."""
    is_now: bool


@dataclass(frozen=True, slots=True)
class StatusPage:
    """What the page shows."""

    word: str
    tone: Tone
    components: tuple[Component, ...]
    number: int
    pages: int
    total: int
    open: tuple[Trouble, ...]
    past: tuple[Trouble, ...]
    planned: tuple[Planned, ...]
    made_at: datetime


def status_page(number: int = 1) -> StatusPage | None:
    """Return one page of components with all that is told; None beyond the last page."""
    now = timezone.now()
    names = _names()
    pages = max(ceil(len(names) / PER_PAGE), 1)
    if not 1 <= number <= pages:
        return None
    planned, resting = _planned(names, now)
    said = _said(names, resting)
    order = sorted(names, key=lambda key: (_TROUBLE.get(said[key][0], 3), names[key].casefold()))
    shown = order[(number - 1) * PER_PAGE : number * PER_PAGE]
    past = Q(started_at__gte=now - timedelta(days=PAST_DAYS)) & IS_OVER
    word, tone = _overall([said[key] for key in names])
    return StatusPage(
        word=word,
        tone=tone,
        components=_components(shown, names, said, now),
        number=number,
        pages=pages,
        total=len(names),
        open=_troubles(~IS_OVER, names),
        past=_troubles(past, names),
        planned=planned,
        made_at=now,
    )


def begins_at() -> datetime | None:
    """Return when the first service of the page was added; None while there is none."""
    first: datetime | None = Service.objects.filter(is_public=True).aggregate(at=Min("created_at"))[
        "at"
    ]
    return first


def incidents_between(start: datetime, end: datetime) -> tuple[Trouble, ...]:
    """Return the incidents of the page's services that began in a window, the newest first."""
    return _troubles(Q(started_at__gte=start, started_at__lt=end), _names(), most=200)


def latest(days: int = 90) -> tuple[tuple[Trouble, ...], tuple[Planned, ...]]:
    """Return what a feed tells: the newest incidents, and maintenance that holds or comes."""
    now = timezone.now()
    names = _names()
    recent = Q(started_at__gte=now - timedelta(days=days)) | ~IS_OVER
    return _troubles(recent, names), _planned(names, now)[0]


def _names() -> dict[int, str]:
    found = Service.objects.filter(is_public=True).order_by("pk")
    return {
        key: shown or name for key, name, shown in found.values_list("pk", "name", "public_name")
    }


def _said(names: Collection[int], resting: Collection[int]) -> dict[int, tuple[str, Tone]]:
    # All services are judged where asking for each by its key would cost more than it spares.
    many = 500
    found = ranks.of_services(list(names) if len(names) <= many else None)
    return {
        key: (MAINTENANCE, Tone.INFO) if key in resting else _WORDS[found.get(key, State.UNKNOWN)]
        for key in names
    }


def _overall(said: Iterable[tuple[str, Tone]]) -> tuple[str, Tone]:
    words = [word for word, _ in said]
    if not words:
        return "", Tone.UNKNOWN
    for word, one, more, tone in (
        ("Outage", "1 service has an outage", "{} services have an outage", Tone.BAD),
        ("Degraded", "1 service is degraded", "{} services are degraded", Tone.WARN),
        (MAINTENANCE, "1 service is in maintenance", "{} services are in maintenance", Tone.INFO),
        ("No data", "1 service cannot be seen", "{} services cannot be seen", Tone.UNKNOWN),
    ):
        if count := words.count(word):
            return one if count == 1 else more.format(count), tone
    return "All services are operational", Tone.OK


def _components(
    shown: Collection[int],
    names: dict[int, str],
    said: dict[int, tuple[str, Tone]],
    now: datetime,
) -> tuple[Component, ...]:
    past = history.of_services(shown, window=timedelta(days=DAYS), buckets=DAYS, now=now)
    found = []
    for key in shown:
        word, tone = said[key]
        bar = bars.bar_of(past[key], f"{DAYS}d")
        total = past[key].total
        known = bars.span(total.known) if total.absent >= _DAY else ""
        available = bars.availability(total)
        found.append(Component(names[key], word, tone, bar, available, known))
    return tuple(found)


def _troubles(wanted: Q, names: dict[int, str], most: int = MOST_INCIDENTS) -> tuple[Trouble, ...]:
    """Return incidents that may be told: outages, and what somebody wrote an update about.

    The words are the page's own: a title may hold the URL of a check.
    """
    written = IncidentEvent.objects.filter(
        incident=OuterRef("pk"), kind=IncidentEvent.Kind.UPDATE.value
    )
    found = list(
        Incident.objects.filter(wanted, is_public=True, service__is_public=True)
        .exclude(severity=Incident.Severity.INFO)
        .filter(_FELT | Q(Exists(written)))
        .order_by("-started_at", "-pk")
        .values_list("pk", "service_id", "severity", "started_at", "resolved_at")[:most]
    )
    told: defaultdict[int, list[Update]] = defaultdict(list)
    events = IncidentEvent.objects.filter(
        incident__in=[key for key, *_ in found], kind__in=list(_TOLD)
    ).order_by("-pk")
    for key, at, kind, text in events.values_list("incident_id", "at", "kind", "text"):
        is_written = kind == IncidentEvent.Kind.UPDATE
        told[key].append(Update(at, _TOLD[kind], text if is_written else ""))
    return tuple(
        Trouble(
            key=key,
            name=names[service_id],
            word="Outage" if severity == Incident.Severity.CRITICAL else "Degraded",
            tone=Tone.BAD if severity == Incident.Severity.CRITICAL else Tone.WARN,
            began_at=began_at,
            ended_at=ended_at,
            updates=tuple(told[key][:_UPDATES_SHOWN]),
        )
        for key, service_id, severity, began_at, ended_at in found
        if service_id in names
    )


def _planned(names: dict[int, str], now: datetime) -> tuple[tuple[Planned, ...], set[int]]:
    """Return maintenance that may be told, and the keys of the services that rest now."""
    ahead = now + timedelta(days=AHEAD_DAYS)
    times = (
        MaintenanceOccurrence.objects.filter(
            ends_at__gt=now, starts_at__lt=ahead, window__cancelled_at=None
        )
        .select_related("window")
        .order_by("starts_at", "pk")
    )
    touched = _touched({time.window_id for time in times})
    found, resting = [], set()
    for time in times:
        keys = touched.get(time.window_id)
        here = [key for key in keys if key in names] if keys is not None else list(names)
        is_now = time.starts_at <= now
        if is_now:
            resting.update(here)
        if here and time.window.is_public:
            found.append(
                Planned(
                    key=time.pk,
                    title=time.window.title,
                    text=time.window.description,
                    starts_at=time.starts_at,
                    ends_at=time.ends_at,
                    names=() if keys is None else tuple(sorted(names[key] for key in here)),
                    is_now=is_now,
                )
            )
    return tuple(found[:MOST_INCIDENTS]), resting


def _touched(window_ids: Collection[int]) -> dict[int, list[int]]:
    """Return the services of windows; one that names none is left out and touches all."""
    through = MaintenanceWindow.services.through
    found: defaultdict[int, list[int]] = defaultdict(list)
    rows = through.objects.filter(maintenancewindow__in=window_ids)
    for window_id, service_id in rows.values_list("maintenancewindow_id", "service_id"):
        found[window_id].append(service_id)
    return dict(found)


def month_of(text: str, now: datetime) -> tuple[datetime, datetime] | None:
    """Return begin and end of a month such as 2026-11; None for what is none, or lies ahead."""
    if not _MONTH.fullmatch(text):
        return None
    try:
        start = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        return None
    end = (start + timedelta(days=32)).replace(day=1)
    return (start, end) if start <= now and start.year >= 2000 else None  # noqa: PLR2004  # nothing of ours is older
