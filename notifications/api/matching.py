"""Conditions on alerts as the API takes and shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from core.rest.serializers import StrictSerializer
from notifications.engine.matching import FIELDS, MOST_VALUES, OPERATORS, SEVERITIES


class MatcherSerializer(StrictSerializer[Any]):
    """One condition; labels are written as `label.<name>`, and `in` takes several values."""

    field = serializers.CharField(
        max_length=120, help_text=f"One of {', '.join(FIELDS)} or label.<name>."
    )
    op = serializers.ChoiceField(choices=list(OPERATORS.items()))
    values = serializers.ListField(
        child=serializers.CharField(allow_blank=True, max_length=200),
        min_length=1,
        max_length=MOST_VALUES,
    )


def matchers_field(**options: Any) -> MatcherSerializer:  # noqa: ANN401  # options of the framework
    """Return the field of all conditions, which must all be met."""
    return MatcherSerializer(many=True, **options)


class FactsSerializer(StrictSerializer[Any]):
    """An alert to try the routes with; `event` takes one that was raised instead."""

    event = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    kind = serializers.CharField(max_length=100, default="reliability.check_down")
    severity = serializers.ChoiceField(
        choices=[(name, name) for name in SEVERITIES], default="critical"
    )
    service = serializers.CharField(max_length=200, allow_blank=True, default="")
    labels = serializers.DictField(child=serializers.CharField(max_length=200), default=dict)
    dedup_key = serializers.CharField(max_length=200, default="try")
    at = serializers.DateTimeField(required=False)
