"""Conditions as a form takes them: a row for each, some empty ones to fill, no script needed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.forms.widgets import Script
from django.template.loader import render_to_string

from core.errors import InvalidInputError
from notifications.engine import matching

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.utils.safestring import SafeString

_BLANK_ROWS: Final = 2
_SEVERAL: Final = frozenset({"in", "not in"})
_PART = re.compile(r"-(\d{1,3})-(?:field|values)\Z")


class MatchersWidget(forms.Widget):
    """Rows of a field, an operator and a value; a script adds more."""

    @property
    def media(self) -> forms.Media:
        """Load how the rows look, and the script that adds more."""
        scripts: list[Any] = [Script("js/matchers-form.js", defer=True)]
        return forms.Media(css={"all": ["css/routing.css"]}, js=scripts)

    def value_from_datadict(
        self,
        data: Mapping[str, Any],
        files: object,
        name: str,
    ) -> list[dict[str, object]]:
        """Read the rows in which something stands."""
        numbers = sorted(
            {
                int(found[1])
                for key in data
                if key.startswith(f"{name}-") and (found := _PART.search(key))
            }
        )
        rows: list[dict[str, object]] = []
        for number in numbers:
            field = str(data.get(f"{name}-{number}-field", "")).strip()
            op = str(data.get(f"{name}-{number}-op", "=")).strip()
            text = str(data.get(f"{name}-{number}-values", "")).strip()
            if field or text:
                rows.append({"field": field, "op": op, "values": _split(op, text)})
        return rows

    def value_omitted_from_data(
        self,
        data: Mapping[str, Any],
        files: object,
        name: str,
    ) -> bool:
        """Tell whether the form held no rows at all."""
        return not any(key.startswith(f"{name}-0-") for key in data)

    def id_for_label(self, id_: str) -> str:
        """Name no control: the rows have labels of their own."""
        return ""

    def use_required_attribute(self, initial: object) -> bool:
        """Leave every row free to stay empty."""
        return False

    def render(
        self,
        name: str,
        value: Any,  # noqa: ANN401  # Django's signature
        attrs: dict[str, Any] | None = None,
        renderer: object = None,
    ) -> SafeString:
        """Show the rows that are filled, then some empty ones."""
        filled = [
            {
                "field": row.get("field", ""),
                "op": row.get("op", "="),
                "values": ", ".join(map(str, row.get("values", []))),
            }
            for row in value or []
        ]
        blank = min(_BLANK_ROWS, matching.MOST_MATCHERS - len(filled)) or 0
        rows = [*filled, *({"field": "", "op": "=", "values": ""} for _ in range(blank))]
        context = {
            "id": (attrs or {}).get("id", ""),
            "name": name,
            "rows": list(enumerate(rows)),
            "operators": matching.OPERATORS.items(),
            "fields": matching.FIELDS,
            "most": matching.MOST_MATCHERS,
        }
        return render_to_string("admin/notifications/matchers.html", context)


class MatchersField(forms.Field):
    """Conditions that the engine understands, as they are stored."""

    widget = MatchersWidget

    def to_python(self, value: Any) -> list[dict[str, object]]:  # noqa: ANN401  # Django's signature
        """Judge the rows; the mistakes name their lines."""
        try:
            return [matcher.stored() for matcher in matching.parse(value or [])]
        except InvalidInputError as error:
            raise ValidationError(list(error.errors["matchers"])) from error

    def has_changed(self, initial: Any, data: Any) -> bool:  # noqa: ANN401  # Django's signature
        """Compare what is meant, not how it was typed."""
        try:
            return bool(self.to_python(data) != self.to_python(initial))
        except ValidationError:
            return True


def _split(op: str, text: str) -> list[str]:
    """Return the values of a row; commas part them where several may stand."""
    if op not in _SEVERAL:
        return [text]
    return [part.strip() for part in text.split(",") if part.strip()]


def in_words(stored: Sequence[Mapping[str, Any]]) -> str:
    """Return stored conditions in words."""
    try:
        return matching.told(matching.parse(stored))
    except InvalidInputError as error:
        return f"cannot be read: {error.message}"
