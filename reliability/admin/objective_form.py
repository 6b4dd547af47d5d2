"""The form of an objective."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Final

from django import forms
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe

from reliability.models import SLO
from reliability.selectors.indicators.registry import INDICATORS
from reliability.services import objectives

_LEAST: Final = Decimal("0.0001")
_MOST: Final = Decimal("99.9999")
_HUNDRED: Final = 100
_WIDENS: Final = (
    "The checks that it named were deleted, so it watches none. Choose others; saved without any, "
    "it watches all checks of the service from then on."
)


class PercentField(forms.DecimalField):
    """Takes a share in percent, as people write it."""

    def prepare_value(self, value: Any) -> Any:  # noqa: ANN401  # Django's signature
        """Show a stored share in percent; what was typed stays as it is."""
        if isinstance(value, float):
            return f"{value * _HUNDRED:.6f}".rstrip("0").rstrip(".")
        return value


class SLOForm(forms.ModelForm[SLO]):
    """An objective; what its service refuses stands beside the fields."""

    indicator = forms.ChoiceField(
        choices=[(key, one.title) for key, one in INDICATORS.items()],
        initial="availability",
        help_text=format_html_join(
            mark_safe("<br>"),
            "{}: {}",
            ((one.title, one.about) for one in INDICATORS.values()),
        ),
    )
    objective = PercentField(
        label="Objective, in percent",
        min_value=_LEAST,
        max_value=_MOST,
        decimal_places=4,
        help_text="The share that has to be good, such as 99.5.",
    )

    class Meta:
        model = SLO
        fields: ClassVar = ["service", *objectives.SLO_FIELDS]
        labels: ClassVar = {
            "threshold_ms": "Fast means within, in milliseconds",
            "window_days": "Days of a rolling window",
            "combine": "Several checks",
            "policy": "What the team does when the budget is spent",
        }
        help_texts: ClassVar = {
            "threshold_ms": "Only of an objective of fast answers.",
            "window_days": "",
            "policy": "Shown with every alert about it.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        slo = self.instance
        if "checks" in self.fields and slo.pk and slo.names_checks and not slo.checks.exists():
            self.fields["checks"].help_text = _WIDENS

    def clean_objective(self) -> float:
        """Return the share."""
        return float(self.cleaned_data["objective"] / _HUNDRED)

    def settings(self) -> dict[str, Any]:
        """Return what the form asks the service to set."""
        data = {name: self.cleaned_data[name] for name in objectives.SLO_FIELDS}
        data["checks"] = [check.pk for check in data["checks"]]
        return data
