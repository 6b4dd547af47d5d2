"""Maintenance by API: declare, change and cancel it, and see what comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from accounts.actors import actor_of
from core.rest import filters
from core.rest.pagination import KeysetPagination
from core.rest.serializers import StrictSerializer
from reliability.models import MaintenanceOccurrence, MaintenanceWindow, Service
from reliability.selectors import maintenance as selectors
from reliability.services import maintenance

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.serializers import BaseSerializer

VIEW = "reliability.view_maintenancewindow"


class MaintenanceSerializer(
    StrictSerializer[MaintenanceWindow], serializers.ModelSerializer[MaintenanceWindow]
):
    """A window of maintenance; no services means every service."""

    services = serializers.PrimaryKeyRelatedField(
        queryset=Service.objects.only("pk"), many=True, required=False
    )

    class Meta:
        model = MaintenanceWindow
        fields: ClassVar = [
            "id",
            *maintenance.MAINTENANCE_FIELDS,
            "declared_by",
            "created_at",
            "cancelled_at",
        ]
        read_only_fields: ClassVar = ["declared_by", "created_at", "cancelled_at"]

    def validate_services(self, services: list[Service]) -> list[int]:
        """Hand keys on: that is what the service takes."""
        return [service.pk for service in services]


class TimeSerializer(serializers.ModelSerializer[MaintenanceOccurrence]):
    """One time of a window."""

    window = serializers.IntegerField(source="window_id")
    title = serializers.CharField(source="window.title")
    services: Any = serializers.PrimaryKeyRelatedField(
        source="window.services", many=True, read_only=True
    )

    class Meta:
        model = MaintenanceOccurrence
        fields: ClassVar = ["window", "title", "services", "starts_at", "ends_at"]


class SpanSerializer(serializers.Serializer[Any]):
    """From when until when."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()


class NewestFirst(KeysetPagination):
    """Pages from the newest on; ids rise with time."""

    ordering: tuple[str, ...] = ("-id",)


@extend_schema_view(
    list=extend_schema(
        description="Windows of maintenance, newest first; `service` takes the id of a service."
    ),
    retrieve=extend_schema(description="One window of maintenance."),
    create=extend_schema(
        description="Declare maintenance. What began before now, by at most 7 days, needs a "
        "`reason`. Meanwhile nobody is alerted and no budget burns."
    ),
    partial_update=extend_schema(
        description="Change a window; what has ended stays as it was lived through."
    ),
    destroy=extend_schema(description="Delete a window that never began; others are cancelled."),
)
class MaintenanceViewSet(ModelViewSet[MaintenanceWindow]):
    """Windows of maintenance."""

    queryset = MaintenanceWindow.objects.prefetch_related("services")
    serializer_class = MaintenanceSerializer
    pagination_class = NewestFirst
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    capabilities: ClassVar = {
        "list": VIEW,
        "retrieve": VIEW,
        "create": "reliability.add_maintenancewindow",
        "partial_update": "reliability.change_maintenancewindow",
        "destroy": "reliability.delete_maintenancewindow",
        "cancel": "reliability.change_maintenancewindow",
        "preview": "reliability.add_maintenancewindow",
    }

    def get_queryset(self) -> QuerySet[MaintenanceWindow]:
        found = super().get_queryset()
        return found.filter(**filters.ids(self.request, service="services"))

    def perform_create(self, serializer: BaseSerializer[MaintenanceWindow]) -> None:
        serializer.instance = maintenance.declare(
            actor=actor_of(self.request), **serializer.validated_data
        )

    def perform_update(self, serializer: BaseSerializer[MaintenanceWindow]) -> None:
        maintenance.change(
            actor=actor_of(self.request),
            window_id=int(self.kwargs["pk"]),
            **serializer.validated_data,
        )
        serializer.instance = self.get_object()

    def perform_destroy(self, instance: MaintenanceWindow) -> None:
        maintenance.delete(actor=actor_of(self.request), window_id=instance.pk)

    @extend_schema(request=None, responses=MaintenanceSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel what is still to come, and end now what holds."""
        maintenance.cancel(actor=actor_of(request), window_id=self.get_object().pk)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=MaintenanceSerializer, responses=SpanSerializer(many=True))
    @action(detail=False, methods=["post"], pagination_class=None, filter_backends=[])
    def preview(self, request: Request) -> Response:
        """Return the next ten times of a window without declaring it."""
        asked = MaintenanceSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        found = maintenance.preview(**asked.validated_data)
        spans = [{"starts_at": start, "ends_at": end} for start, end in found]
        return Response(SpanSerializer(spans, many=True).data)


class UpcomingView(APIView):
    """Maintenance that holds now or comes within two weeks."""

    capabilities: ClassVar = {"GET": VIEW}

    @extend_schema(responses=TimeSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Return the next times, at most 200; `service` takes the id of a service."""
        wanted = filters.ids(request, service="service")
        found = selectors.upcoming([wanted["service"]] if wanted else None)
        return Response(TimeSerializer(found, many=True).data)
