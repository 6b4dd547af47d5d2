"""The form of maintenance; it can show the next times before anything is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError

from core.errors import DomainError
from core.walltime import WallTimeField, zone_named
from reliability.models import MaintenanceWindow
from reliability.services import maintenance

if TYPE_CHECKING:
    from datetime import datetime

PREVIEW: Final = "_preview"
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class MaintenanceForm(forms.ModelForm[MaintenanceWindow]):
    """A window of maintenance."""

    starts_at = WallTimeField(
        label="Begins",
        help_text="In the time zone beside it. Further times are at the same time of day.",
    )
    until = WallTimeField(
        label="Until",
        required=False,
        help_text="No time begins after this, in the same time zone.",
    )
    duration_minutes = forms.IntegerField(
        label="Lasts, in minutes", min_value=1, max_value=30 * 1440, initial=60
    )
    on_weekdays = forms.TypedMultipleChoiceField(
        label="On",
        choices=list(enumerate(_DAYS)),
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Of a weekly one; none means the weekday of the first time.",
    )
    on_month_days = forms.CharField(
        label="Days of the month",
        required=False,
        max_length=100,
        help_text="Of a monthly one, such as 1, 15 or -1 for the last; empty means that of the "
        "first time.",
    )
    times: list[tuple[datetime, datetime]] | None = None
    """The next times, once the form was sound and somebody asked for them."""

    class Meta:
        model = MaintenanceWindow
        fields: ClassVar = [
            "title",
            "services",
            "description",
            "is_public",
            "repeat",
            "starts_at",
            "time_zone",
            "every",
            "cron",
            "until",
            "count",
            "reason",
        ]
        labels: ClassVar = {
            "every": "Every how many days, weeks or months",
            "count": "How often at most",
            "reason": "Why it was not declared in time",
        }
        help_texts: ClassVar = {
            "reason": "Only for what has begun already, at most 7 days ago.",
        }
        widgets: ClassVar = {
            "description": forms.Textarea(attrs={"rows": 3}),
            "reason": forms.Textarea(attrs={"rows": 2}),
        }

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **options)
        self._set_zone()
        if self.instance.pk is not None:
            self.initial["duration_minutes"] = -(-self.instance.duration_seconds // 60)
            self.initial["on_weekdays"] = self.instance.weekdays
            self.initial["on_month_days"] = ", ".join(map(str, self.instance.month_days))

    def _set_zone(self) -> None:
        """Have moments typed and shown in the zone that the form itself names."""
        if "time_zone" not in self.fields:
            # A page that only shows has no fields.
            return
        name = self.add_prefix("time_zone")
        zone = (
            self.data.get(name, "")
            if self.is_bound
            else self.get_initial_for_field(self.fields["time_zone"], "time_zone")
        )
        for moment in ("starts_at", "until"):
            field = self.fields.get(moment)
            if isinstance(field, WallTimeField):
                field.zone = zone_named(zone)
                field.stored = getattr(self.instance, moment)

    def clean_on_month_days(self) -> list[int]:
        """Read the numbers."""
        text = self.cleaned_data["on_month_days"]
        try:
            return [int(part) for part in text.split(",") if part.strip()]
        except ValueError as error:
            message = "Give numbers with commas between them, such as 1, 15 or -1."
            raise ValidationError(message, code="bad_days") from error

    def clean(self) -> dict[str, Any]:
        """Compute the next times if the form asks for them, or say why there are none."""
        data = super().clean() or self.cleaned_data
        if PREVIEW in self.data and not self.errors:
            try:
                self.times = maintenance.preview(**self.settings())
            except DomainError as error:
                for name, texts in (error.errors or {"": [error.message]}).items():
                    self.add_error(name if name in self.fields else None, texts[0])
        return data

    def is_valid(self) -> bool:
        """Never let a look at the next times be saved."""
        return super().is_valid() and PREVIEW not in self.data

    def settings(self) -> dict[str, Any]:
        """Return what the form asks the service to set."""
        data = dict(self.cleaned_data)
        fields = {name: data[name] for name in maintenance.MAINTENANCE_FIELDS if name in data}
        fields["duration_seconds"] = 60 * data["duration_minutes"]
        fields["weekdays"] = sorted(data["on_weekdays"])
        fields["month_days"] = data["on_month_days"]
        fields["services"] = [service.pk for service in data["services"]]
        return fields
