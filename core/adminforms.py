"""What forms of the console are made of: moments, and what a service refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

if TYPE_CHECKING:
    from django.forms import BaseForm
    from django.forms.models import BaseModelForm

    from core.errors import DomainError


class UtcDateTimeField(forms.DateTimeField):
    """A moment in one field, which the browser's own picker fills; the zone is said beside it."""

    widget = forms.DateTimeInput(
        format="%Y-%m-%dT%H:%M:%S", attrs={"type": "datetime-local", "step": 1}
    )

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(**options)
        self.help_text = f"{self.help_text} In UTC.".strip()


def refused_form(form: type[BaseModelForm[Any]], error: DomainError) -> type[BaseModelForm[Any]]:
    """Return the form with the mistakes that a service has found once the form was sound."""

    class RefusedForm(form):  # type: ignore[misc,valid-type]  # the form is known at run time
        def full_clean(self) -> None:
            super().full_clean()
            if self.is_bound:
                _add(self, error)

    return RefusedForm


def _add(form: BaseForm, error: DomainError) -> None:
    """Put each text beside its field; what belongs to no field of the form stands above all."""
    beside = {text for texts in error.errors.values() for text in texts}
    if error.message not in beside:
        form.add_error(None, error.message)
    for name, texts in error.errors.items():
        for text in texts:
            form.add_error(name if name in form.fields else None, text)
