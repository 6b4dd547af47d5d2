"""What an error of the API looks like, for its description."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class ProblemSerializer(serializers.Serializer[Any]):
    """Why a request was not done (RFC 9457)."""

    type = serializers.CharField(
        help_text="Names the kind for programs, such as urn:opsplatform:problem:forbidden."
    )
    title = serializers.CharField(help_text="The kind in words.")
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What happened and what to do.")
    errors = serializers.DictField(  # type: ignore[assignment]  # also the name of what a form found
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="What is wrong with each field.",
    )
    request_id = serializers.CharField(required=False, help_text="Leads to the log.")
