"""A moment as the clock on the wall of some time zone shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from core.adminforms import UtcDateTimeField

if TYPE_CHECKING:
    from datetime import tzinfo

# By this one, no other of the same name, a moment is known that was typed without a zone.
_TYPED: Final = ZoneInfo.no_cache("UTC")


def zone_named(name: str) -> tzinfo:
    """Return a time zone; UTC for what is none, which its own field refuses."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


class WallTimeField(forms.DateTimeField):
    """A moment that is typed and shown in a zone, which the form sets.

    Of an hour that comes twice the first is meant, except where the second was stored already.
    """

    widget = UtcDateTimeField.widget
    zone: tzinfo = UTC
    stored: datetime | None = None

    def prepare_value(self, value: Any) -> Any:  # noqa: ANN401  # Django's signature
        """Show a moment as the clock there does; what was typed stays as it is."""
        if isinstance(value, datetime) and timezone.is_aware(value):
            return value.astimezone(self.zone).replace(tzinfo=None)
        return value

    def to_python(self, value: Any) -> datetime | None:  # noqa: ANN401  # Django's signature
        """Read a moment as the clock there means it."""
        with timezone.override(_TYPED):
            found = super().to_python(value)
        if found is None or found.tzinfo is not _TYPED:
            return found
        typed = found.replace(tzinfo=None)
        if self.stored and self.prepare_value(self.stored.replace(microsecond=0)) == typed:
            return self.stored
        meant = typed.replace(tzinfo=self.zone).astimezone(UTC)
        if self.prepare_value(meant) != typed:
            message = "This time does not exist there: the clocks are put forward over it."
            raise ValidationError(message, code="no_such_time")
        return meant
