"""Lengths of time as people write them: 30 s, 5 min, 1 h 30 min, 2 d."""

from __future__ import annotations

import re
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from notifications.selectors import escalation

_UNITS: Final = {"": 1, "s": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400}
_PART: Final = re.compile(r"(\d{1,7}) *(s|min|m|h|d|)(?: +|$)")
_CHARACTERS: Final = 40


class LengthField(forms.Field):
    """Seconds, written with units; a number alone means seconds."""

    def __init__(self, *, most: int, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(**options)
        self.most = most
        units = "Such as 30 s, 5 min or 4 h."
        self.help_text = f"{self.help_text} {units}".strip()

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Ask for no more than a length needs."""
        return {**super().widget_attrs(widget), "maxlength": _CHARACTERS}

    def prepare_value(self, value: Any) -> Any:  # noqa: ANN401  # Django's signature
        """Show seconds with units; what somebody typed stays as it was."""
        return escalation.duration(value) if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:  # noqa: ANN401  # Django's signature
        """Return seconds; a length that is missing is left to the field's own check."""
        text = str(value or "").strip()
        if not text:
            return None
        seconds = seconds_of(text)
        if seconds > self.most:
            message = f"At most {escalation.duration(self.most)}."
            raise ValidationError(message)
        return seconds

    def has_changed(self, initial: Any, data: Any) -> bool:  # noqa: ANN401  # Django's signature
        """Compare lengths, not how they were typed."""
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


def seconds_of(text: str) -> int:
    """Return the seconds of a length in words; raises ValidationError."""
    total = place = 0
    text = text.strip().lower()[: _CHARACTERS + 1]
    while place < len(text) and (found := _PART.match(text, place)):
        total += int(found[1]) * _UNITS[found[2]]
        place = found.end()
    if not text or place < len(text):
        message = "Write a length such as 30 s, 5 min, 1 h 30 min or 2 d."
        raise ValidationError(message)
    return total
