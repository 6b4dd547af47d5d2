"""The forms of a service and of a check."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.db.models import Value
from django.db.models.functions import Lower

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


class CheckForm(forms.ModelForm[Check]):
    """A check; its headers can be replaced or removed, never read."""

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
        fields: ClassVar = ["service", *catalogue.OPEN_CHECK_FIELDS]
        labels: ClassVar = {
            "interval_seconds": "Interval, in seconds",
            "timeout_seconds": "Timeout, in seconds",
            "retry_interval_seconds": "Interval after a surprise, in seconds",
            "strikes_down": "Failures until it is down",
            "strikes_up": "Successes until it is up",
            "accept": "Good status codes",
            "body_contains": "Text in the answer",
            "degraded_ms": "Slow from, in milliseconds",
        }

    def settings(self) -> dict[str, Any]:
        """Return what the form asks the catalogue to set."""
        data = dict(self.cleaned_data)
        replaced, removed = data.pop("new_headers", None), data.pop("remove_headers", False)
        # An inline shows some fields only, and brings the keys of its formset.
        fields: dict[str, Any] = {
            name: data[name] for name in catalogue.OPEN_CHECK_FIELDS if name in data
        }
        if replaced or removed:
            fields["headers"] = replaced or None
        return fields
