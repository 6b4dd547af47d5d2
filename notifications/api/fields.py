"""Fields that several parts of the interface share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rest_framework import serializers

if TYPE_CHECKING:
    from datetime import time

_OFFSET: Final = re.compile(r"[zZ+\-]")


class LocalTimeField(serializers.TimeField):
    """A time of day in a zone that is named beside it."""

    def to_internal_value(self, value: str | time) -> time:
        """Refuse an offset, which would be left out without a word."""
        if isinstance(value, str) and _OFFSET.search(value):
            message = "Give the time of day in the time zone itself, without an offset: 22:00."
            raise serializers.ValidationError(message)
        found: time = super().to_internal_value(value)
        return found
