"""The form of a route, and that which tries the routes."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError

from core.errors import InvalidInputError
from notifications.admin.lengths import LengthField
from notifications.admin.matchers import MatchersField
from notifications.engine import matching
from notifications.models import Channel, EscalationChain, Event, Route
from notifications.models.routes import DAY_SECONDS

GATHER: Final = (
    ("alert", "Each alert in a thread of its own"),
    ("same", "Alerts with the same values, named beside"),
    ("all", "All alerts of this route in one thread"),
)
_LABEL_LINES: Final = 32


class RouteForm(forms.ModelForm[Route]):
    """A route: which alerts, to whom, and how they are gathered."""

    matchers = MatchersField(
        label="When",
        required=False,
        help_text="All of them must hold. Only a route that lets the routes below be asked as well "
        "may have none. A field is kind, severity, status, service, or label.name. For one of "
        "several values, part them by commas.",
    )
    channels = forms.ModelMultipleChoiceField(
        # Those for people alone have no recipients of their own.
        queryset=Channel.objects.filter(is_for_people=False).order_by("name"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Tell these channels",
    )
    chain = forms.ModelChoiceField(
        queryset=EscalationChain.objects.order_by("name"),
        required=False,
        label="Then escalate by",
        empty_label="nothing",
        help_text="Whom to tell next while nobody acknowledges.",
    )
    gather = forms.ChoiceField(
        label="Threads",
        choices=GATHER,
        help_text="Alerts of one thread are told together and acknowledged together.",
    )
    same = forms.CharField(
        label="The same",
        required=False,
        max_length=500,
        help_text="kind, severity, service or label.name; several are parted by commas.",
    )
    group_wait_seconds = LengthField(label="First message after", most=3_600)
    group_interval_seconds = LengthField(label="Next message after", most=DAY_SECONDS)
    repeat_seconds = LengthField(
        label="Tell again every",
        help_text="While it still holds; 0 for never.",
        most=7 * DAY_SECONDS,
    )

    class Meta:
        model = Route
        fields: ClassVar = [
            "name",
            "enabled",
            "go_on",
            "group_wait_seconds",
            "group_interval_seconds",
            "repeat_seconds",
        ]
        labels: ClassVar = {
            "enabled": "On",
            "go_on": "Ask the routes below as well",
        }
        help_texts: ClassVar = {
            "enabled": "",
            "go_on": "Instead of ending the search here.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        route = self.instance
        if route.pk:
            self.initial.setdefault("matchers", route.matchers)
            self.initial.setdefault("channels", list(route.channels.values_list("pk", flat=True)))
            self.initial.setdefault("chain", route.chain_id)
        grouped = list(route.group_by) if route.pk else ["alert"]
        kind = "alert" if grouped == ["alert"] else "same" if grouped else "all"
        self.initial.setdefault("gather", kind)
        for name in ("group_wait_seconds", "group_interval_seconds", "repeat_seconds"):
            # A new route offers what a route has that says nothing.
            self.initial.setdefault(name, getattr(route, name))
        self.initial.setdefault("same", ", ".join(grouped) if kind == "same" else "")

    def clean(self) -> dict[str, Any]:
        """Judge by what alerts are gathered."""
        data = super().clean() or self.cleaned_data
        names = [name.strip() for name in data.get("same", "").split(",") if name.strip()]
        if data.get("gather") == "same":
            if not names:
                self.add_error("same", "Name what they have in common, such as service.")
            try:
                matching.usable_group_by(names)
            except InvalidInputError as error:
                self.add_error("same", error.message)
        return data

    def settings(self) -> dict[str, Any]:
        """Return what the service takes."""
        data = self.cleaned_data
        names = [name.strip() for name in data["same"].split(",") if name.strip()]
        grouped = {"alert": ["alert"], "same": names, "all": []}[data["gather"]]
        chain: EscalationChain | None = data["chain"]
        found: dict[str, Any] = {
            "name": data["name"],
            "channels": [channel.pk for channel in data["channels"]],
            "chain": chain.pk if chain else None,
            "group_by": grouped,
            "group_wait_seconds": data["group_wait_seconds"],
            "group_interval_seconds": data["group_interval_seconds"],
            "repeat_seconds": data["repeat_seconds"],
        }
        if not self.instance.is_default:
            # The default route is for every alert and comes last.
            found |= {name: data[name] for name in ("enabled", "go_on", "matchers")}
        return found


class TryForm(forms.Form):
    """An alert as it might be raised."""

    severity = forms.ChoiceField(choices=Event.Severity.choices, initial="critical")
    kind = forms.CharField(max_length=100, required=False, initial="reliability.check_down")
    service = forms.CharField(max_length=200, required=False)
    labels = forms.CharField(
        required=False,
        max_length=8_000,
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "team=payments"}),
        help_text="One a line, as name=value.",
    )

    def clean_labels(self) -> dict[str, str]:
        """Read the labels, one a line."""
        found: dict[str, str] = {}
        lines = [line.strip() for line in self.cleaned_data["labels"].splitlines() if line.strip()]
        for line in lines[:_LABEL_LINES]:
            name, equals, value = line.partition("=")
            if not equals or not name.strip():
                message = f"Write {line[:40]!r} as name=value."
                raise ValidationError(message)
            found[name.strip()] = value.strip()
        return found

    def facts(self) -> matching.AlertFacts:
        """Return the alert that is meant."""
        data = self.cleaned_data
        return matching.AlertFacts(
            kind=data["kind"],
            severity=data["severity"],
            service=data["service"],
            labels=data["labels"],
            dedup_key="trial",
        )


def described(event: Event) -> dict[str, str]:
    """Return an alert of the past as the form shows it."""
    return {
        "severity": event.severity,
        "kind": event.kind,
        "service": event.service,
        "labels": "\n".join(f"{name}={value}" for name, value in event.labels.items()),
    }
