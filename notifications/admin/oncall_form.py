"""The forms of a schedule on call, its slots, and who stands in."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django import forms
from django.core.exceptions import ValidationError

from core.walltime import WallTimeField, zone_named
from notifications.admin.rows import BaseRows, RowsForm
from notifications.engine import zones
from notifications.models import OnCallSchedule, OnCallSlot
from notifications.selectors.people import entitled
from notifications.services.oncall import MOST_SLOTS, SlotFields

if TYPE_CHECKING:
    from accounts.models import User

_DAYS = [(0, "Mon"), (1, "Tue"), (2, "Wed"), (3, "Thu"), (4, "Fri"), (5, "Sat"), (6, "Sun")]


class SlotForm(forms.Form):
    """Hours of some weekdays, and who is on call in them."""

    days = forms.TypedMultipleChoiceField(
        label="Days", choices=_DAYS, coerce=int, widget=forms.CheckboxSelectMultiple
    )
    starts = forms.TimeField(
        label="From", widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"})
    )
    ends = forms.TimeField(
        label="Until", widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"})
    )
    user = forms.ModelChoiceField(label="Who", queryset=OnCallSchedule.objects.none())

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        options.setdefault("label_suffix", "")
        super().__init__(*args, **options)
        field = cast("forms.ModelChoiceField[Any]", self.fields["user"])
        field.queryset = entitled().order_by("username")

    def slots(self) -> list[SlotFields]:
        """Return the slots as the service takes them."""
        data = self.cleaned_data
        return [
            SlotFields(weekday=day, starts=data["starts"], ends=data["ends"], user=data["user"].pk)
            for day in data["days"]
        ]


class SlotRows(
    forms.formset_factory(  # type: ignore[misc]  # made at run time
        SlotForm,
        formset=BaseRows,
        can_delete=True,
        max_num=MOST_SLOTS + 10,
        absolute_max=MOST_SLOTS + 10,
    )
):
    """The slots of a week, those with the same hours and person together."""


class ScheduleForm(RowsForm[OnCallSchedule]):
    """A schedule."""

    rows_class = SlotRows
    time_zone = forms.CharField(
        max_length=64,
        initial="UTC",
        widget=forms.TextInput(attrs={"list": "time-zones"}),
        help_text="In which its hours are meant, such as Europe/Vienna.",
    )

    class Meta:
        model = OnCallSchedule
        fields: ClassVar = ["name", "time_zone"]

    @property
    def zones(self) -> list[str]:
        """Return the time zones that the field offers."""
        return sorted(zones.known())

    def clean_time_zone(self) -> str:
        """Refuse what is no time zone."""
        name: str = self.cleaned_data["time_zone"]
        if name not in zones.known():
            message = "Name a time zone such as Europe/Vienna, or UTC."
            raise ValidationError(message, code="no_zone")
        return name

    def stored_rows(self) -> list[dict[str, Any]]:
        days: dict[tuple[Any, Any, Any], list[int]] = defaultdict(list)
        for slot in OnCallSlot.objects.filter(schedule=self.instance).order_by(
            "weekday", "starts", "pk"
        ):
            days[slot.starts, slot.ends, slot.user_id].append(slot.weekday)
        return [
            {"days": found, "starts": starts, "ends": ends, "user": user}
            for (starts, ends, user), found in days.items()
        ]

    def slots(self) -> list[SlotFields]:
        """Return what the service is asked to set."""
        return [slot for row in self.rows.kept() for slot in row.slots()]


class StandInForm(forms.Form):
    """Who stands in, and when."""

    user = forms.ModelChoiceField(label="Who", queryset=OnCallSchedule.objects.none())
    starts_at = WallTimeField(label="From")
    ends_at = WallTimeField(label="Until")
    reason = forms.CharField(required=False, max_length=200)

    def __init__(
        self,
        *args: Any,  # noqa: ANN401  # Django's signature
        schedule: OnCallSchedule,
        person: User,
        may_change: bool,
        **options: Any,  # noqa: ANN401  # the same
    ) -> None:
        super().__init__(*args, **options)
        people = entitled().order_by("username")
        field = cast("forms.ModelChoiceField[Any]", self.fields["user"])
        # Who may not change the schedule stands in for others, and puts nobody else there.
        field.queryset = people if may_change else people.filter(pk=person.pk)
        field.initial = person.pk
        for name in ("starts_at", "ends_at"):
            moment = cast("WallTimeField", self.fields[name])
            moment.zone = zone_named(schedule.time_zone)
            moment.help_text = f"In {schedule.time_zone}."
