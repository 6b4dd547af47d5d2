"""What the API shows and takes."""

from typing import Any, ClassVar, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.masking import HIDDEN
from core.rest.serializers import StrictSerializer
from reliability.api.heartbeats import HeartbeatSerializer
from reliability.models import Check, Service, UptimeTest
from reliability.models.fields import validate_headers
from reliability.selectors import ranks, states
from reliability.services import catalogue

MOST_CHECKS: Final = 200
"""So many checks are told with their service."""


class CheckStateSerializer(serializers.Serializer[Any]):
    """What a check says now, and what was found last, however long ago."""

    state = serializers.CharField()
    since = serializers.DateTimeField()
    last_at = serializers.DateTimeField(source="last.last_at", allow_null=True)
    last_code = serializers.IntegerField(source="last.last_code", allow_null=True)
    last_ms = serializers.FloatField(source="last.last_ms", allow_null=True)
    last_failure = serializers.CharField(source="last.last_failure")
    last_detail = serializers.CharField(source="last.last_detail")


class CheckUrlSerializer(StrictSerializer[Check], serializers.ModelSerializer[Check]):
    """Shows the query of a check's URL and what it sends only to those who may change checks."""

    def to_representation(self, instance: Check) -> dict[str, Any]:
        """Return what the asking person may see."""
        shown = super().to_representation(instance)
        request = self.context.get("request")
        if request is None or not request.user.has_perm("reliability.change_check"):
            shown["url"] = instance.shown_url
            if shown.get("body"):
                shown["body"] = HIDDEN
        return shown


class CheckSerializer(CheckUrlSerializer):
    """A check; `headers` can be written and is never shown."""

    service = serializers.PrimaryKeyRelatedField(queryset=Service.objects.all())
    headers = serializers.JSONField(
        write_only=True, required=False, allow_null=True, validators=[validate_headers]
    )
    heartbeat = HeartbeatSerializer(required=False)
    parents = serializers.PrimaryKeyRelatedField(
        queryset=Check.objects.only("pk"), many=True, required=False
    )
    status = CheckStateSerializer(source="says", read_only=True)
    flapping = serializers.BooleanField(source="state.is_flapping", read_only=True)
    certificate_ends_at = serializers.DateTimeField(
        source="state.cert_not_after", read_only=True, allow_null=True
    )

    class Meta:
        model = Check
        fields: ClassVar = [
            "id",
            "service",
            *catalogue.CHECK_FIELDS,
            "status",
            "flapping",
            "certificate_ends_at",
            "created_at",
            "updated_at",
        ]
        read_only_fields: ClassVar = ["created_at", "updated_at"]

    def validate_parents(self, parents: list[Check]) -> list[int]:
        """Give the catalogue numbers, as it wants them."""
        return [parent.pk for parent in parents]

    def validate_service(self, service: Service) -> Service:
        """Keep a check with its service: its history belongs there."""
        if self.instance is not None and self.instance.service_id != service.pk:
            message = "A check cannot move to another service."
            raise serializers.ValidationError(message)
        return service


class ServiceCheckSerializer(CheckUrlSerializer):
    """A check as its service lists it."""

    state = serializers.CharField(source="says.state", read_only=True)

    class Meta:
        model = Check
        fields: ClassVar = ["id", "name", "url", "enabled", "state"]


class ServiceSerializer(StrictSerializer[Service], serializers.ModelSerializer[Service]):
    """A service with the state of its worst check, as lists show it."""

    state = serializers.CharField(read_only=True)
    check_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = Service
        fields: ClassVar = [
            "id",
            *catalogue.SERVICE_FIELDS,
            "state",
            "check_count",
            "created_at",
            "updated_at",
        ]
        read_only_fields: ClassVar = ["created_at", "updated_at"]


class ServiceDetailSerializer(ServiceSerializer):
    """A service with its first checks; `/api/checks/?service=` has all of them."""

    checks = serializers.SerializerMethodField()

    class Meta(ServiceSerializer.Meta):
        fields: ClassVar = [*ServiceSerializer.Meta.fields, "checks"]

    def to_representation(self, instance: Service) -> dict[str, Any]:
        """Return the service, with what its checks say together."""
        ranks.complete([instance])
        return super().to_representation(instance)

    @extend_schema_field(ServiceCheckSerializer(many=True))
    def get_checks(self, service: Service) -> Any:  # noqa: ANN401  # what serializers return
        """Return the checks that were added first."""
        found = states.checks().filter(service=service).order_by("pk")[:MOST_CHECKS]
        return ServiceCheckSerializer(found, many=True, context=self.context).data


class UptimeSerializer(CheckUrlSerializer):
    """What a check says now, with the names of the check and its service."""

    check = serializers.IntegerField(source="pk", read_only=True)
    service = serializers.CharField(source="service.name", read_only=True)
    name = serializers.CharField(source="label", read_only=True)
    status = CheckStateSerializer(source="says", read_only=True)

    class Meta:
        model = Check
        fields: ClassVar = ["check", "service", "name", "url", "enabled", "status"]


class UptimeTestRequestSerializer(StrictSerializer[Any]):
    """Which checks to run; nothing means all that are on."""

    checks = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        required=False,
        allow_empty=False,
        max_length=1000,
    )


class UptimeTestSerializer(serializers.ModelSerializer[UptimeTest]):
    """A requested run and, once it is done, what it found."""

    class Meta:
        model = UptimeTest
        fields: ClassVar = [
            "id",
            "state",
            "requested_by",
            "created_at",
            "finished_at",
            "error_code",
            "error",
            "results",
        ]
