"""Forms with rows of their own: blank ones wait below, and a button brings more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar, cast

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

if TYPE_CHECKING:
    from django.http import QueryDict

M = TypeVar("M", bound=models.Model)

MORE: Final = "_more_rows"
_BLANK: Final = 2
_PREFIX: Final = "rows"


class BaseRows(forms.BaseFormSet[Any]):
    """The rows of one form."""

    def kept(self) -> list[Any]:
        """Return the rows that were filled in and are not ticked for removal, in their order."""
        return [
            row for row in self.forms if row.cleaned_data and not row.cleaned_data.get("DELETE")
        ]


class RowsForm(forms.ModelForm[M], Generic[M]):
    """A form with rows below it; what is wrong in one stands beside it."""

    rows_class: ClassVar[type[BaseRows]]

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **options)
        data = cast("QueryDict", self.data).copy() if self.is_bound else None
        total = f"{_PREFIX}-TOTAL_FORMS"
        if data is not None and MORE in data:
            now = str(data.get(total, ""))
            data[total] = str(int(now) + _BLANK) if now.isdigit() else now
        stored = self.stored_rows() if self.instance.pk is not None else []
        self.rows = self.rows_class(data, prefix=_PREFIX, initial=stored)
        self.rows.extra = _BLANK if stored else _BLANK + 1

    def stored_rows(self) -> list[dict[str, Any]]:
        """Return the rows of what is edited."""
        message = f"{type(self).__name__} must say what its rows are."
        raise TypeError(message)

    def is_valid(self) -> bool:
        """Judge the rows, too; never save what only asked for more of them."""
        return super().is_valid() and MORE not in self.data

    def clean(self) -> dict[str, Any]:
        """Refuse the form if a row cannot be used."""
        data = super().clean() or self.cleaned_data
        if MORE not in self.data and not self.rows.is_valid():
            message = "Something in the rows below cannot be used; it is told there."
            raise ValidationError(message, code="rows")
        return data
