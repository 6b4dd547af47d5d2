"""The shapes of the health answers, for the OpenAPI description."""

from rest_framework import serializers

from observability.engine.findings import State


class LivenessSerializer(serializers.Serializer[dict[str, str]]):
    """The process answers."""

    status = serializers.ChoiceField(choices=["ok", "stuck"])


class FindingSerializer(serializers.Serializer[dict[str, str]]):
    """How one part does."""

    state = serializers.ChoiceField(choices=[state.value for state in State])
    reason = serializers.CharField(allow_blank=True)


class ReadinessSerializer(serializers.Serializer[dict[str, object]]):
    """How the platform does, and each of its parts."""

    status = serializers.ChoiceField(choices=["ready", "not ready", "stopping"])
    checks = serializers.DictField(child=FindingSerializer())
