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


class GateSerializer(serializers.Serializer[object]):
    """An objective, and why it stands here."""

    service = serializers.CharField()
    objective = serializers.CharField()
    remaining_share = serializers.FloatField(allow_null=True)
    reason = serializers.CharField()


class GatesSerializer(serializers.Serializer[dict[str, object]]):
    """Whether an error budget is nearly spent; names are for those who may see objectives."""

    status = serializers.ChoiceField(choices=["ok", "budget spent", "drill", "unknown"])
    failing_count = serializers.IntegerField(
        help_text="Objectives with less than a fifth of their error budget left."
    )
    insufficient_count = serializers.IntegerField(
        help_text="Objectives of which too little is known to judge them; they fail nothing."
    )
    failing = GateSerializer(many=True, required=False)
    insufficient = GateSerializer(many=True, required=False)
