"""The forms of a service and of a check."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django import forms
from django.db.models import Value
from django.db.models.functions import Lower

from reliability.engine import assertions
from reliability.engine.probe import KINDS
from reliability.models import Check, Service
from reliability.models.fields import validate_headers
from reliability.services import catalogue


class ServiceForm(forms.ModelForm[Service]):
    """A service; a name that is taken is said beside the name."""

    class Meta:
        model = Service
        fields: ClassVar = [
            "name",
            "url",
            "tier",
            "environment",
            "owner",
            "is_public",
            "public_name",
        ]

    def clean_name(self) -> str:
        """Refuse a name that another service has, in whichever case."""
        name: str = self.cleaned_data["name"].strip()
        others = Service.objects.exclude(pk=self.instance.pk)
        if others.alias(same=Lower("name")).filter(same=Lower(Value(name))).exists():
            message = "A service with this name exists already."
            raise forms.ValidationError(message, code="unique")
        return name


class TagsField(forms.CharField):
    """Tags with commas between them."""

    def prepare_value(self, value: Any) -> Any:  # noqa: ANN401  # as the base has it
        """Show a list as people type it."""
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:  # noqa: ANN401  # as the base has it
        """Return the tags."""
        return [tag.strip() for tag in super().clean(value).split(",") if tag.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:  # noqa: ANN401  # as the base has it
        """Compare what people see."""
        return bool(super().has_changed(self.prepare_value(initial), data))


class ConditionsField(forms.CharField):
    """Conditions on the answer, one a line."""

    widget = forms.Textarea(
        attrs={"rows": 3, "placeholder": 'json /db/state equals "ok"\nlatency_ms less 500'}
    )

    def prepare_value(self, value: Any) -> Any:  # noqa: ANN401  # as the base has it
        """Show what is stored as people write it."""
        return assertions.to_lines(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # as the base has it
        """Return the conditions as they are stored."""
        try:
            return assertions.from_lines(super().clean(value))
        except ValueError as error:
            raise forms.ValidationError(str(error), code="bad_assertions") from error

    def has_changed(self, initial: Any, data: Any) -> bool:  # noqa: ANN401  # as the base has it
        """Compare what people see."""
        return bool(super().has_changed(self.prepare_value(initial), data))


class CheckForm(forms.ModelForm[Check]):
    """A check; its headers can be replaced or removed, never read.

    A heartbeat has a form of its own: nobody asks it.
    """

    tags = TagsField(required=False, help_text="With commas between them.")
    assertions = ConditionsField(
        label="Conditions",
        required=False,
        help_text="One a line: body, json with a pointer, header with a name, or latency_ms; then "
        "contains, not_contains, equals, not_equals, less, greater or exists; then the value.",
    )

    new_headers = forms.JSONField(
        label="Headers",
        required=False,
        validators=[validate_headers],
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": '{"Authorization": "Bearer …"}'}),
        help_text="Sent with each request; an object of names and values. Stored encrypted and "
        "never shown again. Empty keeps what is stored.",
    )
    remove_headers = forms.BooleanField(required=False, help_text="Send no own headers any more.")

    class Meta:
        model = Check
        fields: ClassVar = ["service", *catalogue.OPEN_CHECK_FIELDS, "parents"]
        widgets: ClassVar = {
            "body": forms.Textarea(attrs={"rows": 3}),
            "dns_expected": forms.Textarea(attrs={"rows": 3}),
        }
        labels: ClassVar = {
            "kind": "What to ask",
            "tls_min_days": "Certificate valid for, in days",
            "dns_type": "Record type",
            "down_at_once": "Down at the first definite failure",
            "parents": "Depends on",
            "interval_seconds": "Interval, in seconds",
            "timeout_seconds": "Timeout, in seconds",
            "retry_interval_seconds": "Interval after a surprise, in seconds",
            "strikes_down": "Failures until it is down",
            "strikes_up": "Successes until it is up",
            "accept": "Good status codes",
            "body_contains": "Text in the answer",
            "degraded_ms": "Slow from, in milliseconds",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # as the base has it
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            kinds = [choice for choice in Check.Kind.choices if choice[0] in KINDS]
            cast("forms.ChoiceField", self.fields["kind"]).choices = kinds

    def settings(self) -> dict[str, Any]:
        """Return what the form asks the catalogue to set."""
        data = dict(self.cleaned_data)
        replaced, removed = data.pop("new_headers", None), data.pop("remove_headers", False)
        # An inline shows some fields only, and brings the keys of its formset. What this class
        # declares itself is there in any case, empty.
        shown = self._meta.fields or ()
        fields: dict[str, Any] = {
            name: data[name]
            for name in catalogue.OPEN_CHECK_FIELDS
            if name in data and name in shown
        }
        if replaced or removed:
            fields["headers"] = replaced or None
        if "parents" in data:
            fields["parents"] = [parent.pk for parent in data["parents"]]
        return fields
