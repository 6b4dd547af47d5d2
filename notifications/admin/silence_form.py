"""The form of a silence; it can show what it means before anything is silenced."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.utils import timezone

from core.adminforms import UtcDateTimeField
from notifications.admin.matchers import MatchersField
from notifications.engine import matching
from notifications.models import Event, Group, Silence
from notifications.selectors.silenced import Matched, matched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREVIEW: Final = "_preview"
LASTS: Final = (
    ("1h", "1 hour"),
    ("4h", "4 hours"),
    ("24h", "24 hours"),
    ("tomorrow", "Until tomorrow, 08:00 UTC"),
    ("until", "Until the time below"),
)
_HOURS: Final = {"1h": 1, "4h": 4, "24h": 24}
_MORNING: Final = time(8, tzinfo=UTC)
_LABELS: Final = 3
_ALERTS: Final = 1_000
"""Of so many alerts of a thread it is asked what they share."""


class SilenceForm(forms.ModelForm[Silence]):
    """What is silenced, for how long, and why."""

    matchers = MatchersField(
        label="Silence alerts of which",
        required=False,
        help_text="All of them must hold. A field is kind, severity, service, or label.name. For "
        "one of several values, part them by commas.",
    )
    lasts = forms.ChoiceField(label="For", choices=LASTS, initial="1h")
    ends_at = UtcDateTimeField(label="Until", required=False)
    starts_at = UtcDateTimeField(label="From", required=False, help_text="Empty means now.")
    comment = forms.CharField(
        label="Why", max_length=300, help_text="For those who wonder why nobody was told."
    )
    everything = forms.BooleanField(
        label="Yes, silence every alert",
        required=False,
        help_text="Needed only without a condition: then nobody is told of anything.",
    )
    meant: Matched | None = None
    """What it means, once the form was sound and somebody asked for it."""

    class Meta:
        model = Silence
        fields: ClassVar[list[str]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            silence = self.instance
            has_begun = silence.starts_at <= timezone.now()
            self.initial.update(
                matchers=silence.matchers,
                comment=silence.comment,
                lasts="until",
                ends_at=silence.ends_at,
                starts_at=None if has_begun else silence.starts_at,
                everything=not silence.matchers,
            )

    def clean(self) -> dict[str, Any]:
        """Reckon when it ends; look what it means if the form asks for that."""
        data = super().clean() or self.cleaned_data
        if data.get("lasts") == "until" and not data.get("ends_at") and "ends_at" in data:
            self.add_error("ends_at", "Say when it ends.")
        if "matchers" in data and not data["matchers"] and not data.get("everything"):
            self.add_error(
                "everything", "Without a condition nobody is told of anything. Add one, or confirm."
            )
        if PREVIEW in self.data and not self.errors:
            self.meant = matched(matching.parse(data["matchers"]))
        return data

    def is_valid(self) -> bool:
        """Never let a look at what it means silence anything."""
        return super().is_valid() and PREVIEW not in self.data

    def settings(self) -> dict[str, Any]:
        """Return what the service takes."""
        data = self.cleaned_data
        return {
            "matchers": data["matchers"],
            "comment": data["comment"],
            "starts_at": data["starts_at"],
            "ends_at": end_of(data["lasts"], data["starts_at"] or timezone.now(), data["ends_at"]),
            "everything": data["everything"],
        }


def end_of(lasts: str, begins: datetime, until: datetime | None) -> datetime:
    """Return when a silence ends that begins at a moment."""
    if hours := _HOURS.get(lasts):
        return begins + timedelta(hours=hours)
    if lasts == "tomorrow" or until is None:
        day = begins.astimezone(UTC).date() + timedelta(days=1)
        return datetime.combine(day, _MORNING)
    return until


def conditions_of_event(event: Event) -> list[dict[str, object]]:
    """Return conditions that mean an alert and those like it."""
    return _conditions({"kind": event.kind, "service": event.service}, event.labels)


def conditions_of_group(group: Group) -> list[dict[str, object]]:
    """Return conditions that mean the alerts of a thread: what they have in common."""
    shared = {name: str(value) for name, value in group.common.items() if name != "alert" and value}
    if shared:
        return [{"field": name, "op": "=", "values": [value]} for name, value in shared.items()]
    found = [_values(event) for event in _meant(group)]
    if not found:
        return []
    first, *others = found
    both = {
        name: value
        for name, value in first.items()
        if all(other.get(name) == value for other in others)
    }
    labels = {
        name.removeprefix(matching.LABEL): value
        for name, value in both.items()
        if name.startswith(matching.LABEL)
    }
    return _conditions({name: both.get(name, "") for name in ("kind", "service")}, labels)


def told_of_group(group: Group, conditions: Sequence[object]) -> str:
    """Return what the conditions of a thread are, if it has more alerts than one."""
    count = len(_meant(group))
    if count < 2:  # noqa: PLR2004  # one alone shares everything with itself
        return ""
    alerts = f"{count:,}" if count < _ALERTS else f"newest {count:,}"
    if not conditions:
        return f"The {alerts} alerts of the thread have nothing in common: say which are meant."
    return f"The conditions are what the {alerts} alerts of the thread have in common."


def _values(event: Event) -> dict[str, str]:
    """Return what of an alert can stand in conditions, by field."""
    labels = {f"{matching.LABEL}{name}": str(value) for name, value in event.labels.items()}
    return {"kind": event.kind, "service": event.service, **labels}


def _meant(group: Group) -> list[Event]:
    """Return the alerts of a thread that hold; if none does, its newest one."""
    members = group.members.select_related("event").order_by("-since", "-pk")
    firing = [m.event for m in members.filter(status=Event.Status.FIRING)[:_ALERTS]]
    return firing or [member.event for member in members[:1]]


def _conditions(fields: Mapping[str, str], labels: Mapping[str, str]) -> list[dict[str, object]]:
    named = {f"{matching.LABEL}{name}": value for name, value in list(labels.items())[:_LABELS]}
    return [
        {"field": name, "op": "=", "values": [value]}
        for name, value in {**fields, **named}.items()
        if value
    ]
