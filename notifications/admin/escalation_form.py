"""The form of an escalation and its steps."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django import forms

from notifications.admin.rows import BaseRows, RowsForm
from notifications.models import Channel, EscalationChain, Event, OnCallSchedule
from notifications.selectors.people import entitled
from notifications.services.chains import MOST_STEPS, StepFields

_SECONDS = 60
_DAY_MINUTES = 1440
# As many as fit beside each other; more go into a list that scrolls.
_MOST_BOXES = 12


class StepForm(forms.Form):
    """One step: when, for what, and whom it tells."""

    wait_minutes = forms.FloatField(
        label="Wait, in minutes",
        min_value=0,
        max_value=_DAY_MINUTES,
        initial=5,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    min_severity = forms.ChoiceField(
        label="For alerts from",
        choices=[
            (Event.Severity.INFO, "any severity"),
            (Event.Severity.WARNING, "warning on"),
            (Event.Severity.CRITICAL, "critical only"),
        ],
        initial=Event.Severity.INFO,
    )
    schedules = forms.ModelMultipleChoiceField(
        label="Who is on call in", queryset=OnCallSchedule.objects.none(), required=False
    )
    people = forms.ModelMultipleChoiceField(queryset=OnCallSchedule.objects.none(), required=False)
    channels = forms.ModelMultipleChoiceField(queryset=Channel.objects.none(), required=False)

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        options.setdefault("label_suffix", "")
        super().__init__(*args, **options)
        offered: dict[str, Any] = {
            "schedules": OnCallSchedule.objects.order_by("name"),
            "people": entitled().order_by("username"),
            "channels": Channel.objects.filter(is_for_people=False).order_by("name"),
        }
        for name, rows in offered.items():
            field = cast("forms.ModelMultipleChoiceField[Any]", self.fields[name])
            field.queryset = rows
            if rows.count() <= _MOST_BOXES:
                field.widget = forms.CheckboxSelectMultiple()
                field.widget.choices = field.choices

    def step(self) -> StepFields:
        """Return the step as the service takes it."""
        data = self.cleaned_data
        return StepFields(
            wait_seconds=round(data["wait_minutes"] * _SECONDS),
            min_severity=data["min_severity"],
            channels=[row.pk for row in data["channels"]],
            people=[row.pk for row in data["people"]],
            schedules=[row.pk for row in data["schedules"]],
        )


class StepRows(
    forms.formset_factory(  # type: ignore[misc]  # made at run time
        StepForm,
        formset=BaseRows,
        can_delete=True,
        max_num=MOST_STEPS + 10,
        absolute_max=MOST_STEPS + 10,
    )
):
    """The steps, one below the other."""


class ChainForm(RowsForm[EscalationChain]):
    """An escalation."""

    rows_class = StepRows

    class Meta:
        model = EscalationChain
        fields: ClassVar = ["name", "repeats"]
        labels: ClassVar = {"repeats": "Begin again, how often"}

    def stored_rows(self) -> list[dict[str, Any]]:
        rows = self.instance.steps.order_by("position")
        return [
            {
                "wait_minutes": f"{step.wait_seconds / _SECONDS:g}",
                "min_severity": step.min_severity,
                "schedules": list(step.schedules.all()),
                "people": list(step.people.all()),
                "channels": list(step.channels.all()),
            }
            for step in rows.prefetch_related("schedules", "people", "channels")
        ]

    def steps(self) -> list[StepFields]:
        """Return what the service is asked to set."""
        return [row.step() for row in self.rows.kept()]
