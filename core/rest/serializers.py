"""A base for serializers that take input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from rest_framework import serializers

T = TypeVar("T")

_MOST_NAMED: Final = 20


class StrictSerializer(serializers.Serializer[T]):
    """Refuses fields that do not exist or cannot be set, instead of dropping them in silence.

    A misspelt setting would otherwise be answered with success and keep its default.
    """

    def to_internal_value(self, data: Any) -> Any:  # noqa: ANN401  # as the base has it
        """Return the validated values; raises ValidationError that names the fields."""
        if isinstance(data, Mapping):
            settable = {field.field_name for field in self._writable_fields}
            refused = [str(name) for name in data if name not in settable]
            if refused:
                raise serializers.ValidationError(
                    {name: [self._why(name)] for name in refused[:_MOST_NAMED]}
                )
        return super().to_internal_value(data)

    def _why(self, name: str) -> str:
        if name in self.fields:
            return "This field cannot be set."
        return "There is no such field."
