"""Objectives by API: what is promised, where it stands, and how its budget was spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from accounts.actors import actor_of
from core.errors import NotFoundError
from core.rest import filters
from core.rest.pagination import KeysetPagination
from core.rest.serializers import StrictSerializer
from reliability.engine.slo import State
from reliability.models import SLO, Check, Service
from reliability.selectors import objectives
from reliability.selectors.indicators.registry import INDICATORS
from reliability.selectors.objectives import Standing  # noqa: TC001  # the schema reads the hints
from reliability.services import objectives as changes

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.serializers import BaseSerializer

VIEW = "reliability.view_slo"
_SERVICE = OpenApiParameter("service", int, description="Only of the service with this id.")


class SLOSerializer(StrictSerializer[SLO], serializers.ModelSerializer[SLO]):
    """An objective; one that is given no `checks` watches all of its service.

    One whose named checks were all deleted watches none until `checks` is set again.
    """

    service = serializers.PrimaryKeyRelatedField(queryset=Service.objects.all())
    indicator = serializers.ChoiceField(choices=list(INDICATORS), default="availability")
    checks = serializers.PrimaryKeyRelatedField(
        queryset=Check.objects.all(), many=True, required=False
    )

    class Meta:
        model = SLO
        fields: ClassVar = ["id", "service", *changes.SLO_FIELDS, "created_at", "updated_at"]
        read_only_fields: ClassVar = ["created_at", "updated_at"]
        # The service names the field of what is taken already.
        validators: ClassVar[list[Any]] = []

    def validate_service(self, service: Service) -> Service:
        """Keep an objective with its service: its snapshots belong there."""
        if self.instance is not None and self.instance.service_id != service.pk:
            message = "An objective cannot move to another service."
            raise serializers.ValidationError(message)
        return service


class StandingSerializer(serializers.Serializer[Any]):
    """Where an objective stands; shares are of 1."""

    slo = serializers.IntegerField(source="slo.pk")
    service = serializers.IntegerField(source="slo.service_id")
    service_name = serializers.CharField(source="slo.service.name")
    name = serializers.CharField(source="slo.name")
    indicator = serializers.CharField(source="slo.indicator")
    objective = serializers.FloatField(source="slo.objective")
    gate = serializers.BooleanField(source="slo.gate")
    at = serializers.DateTimeField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=[state.value for state in State])
    is_sufficient = serializers.BooleanField(
        help_text="False where too little is known to judge; such an objective fails no gate."
    )
    availability = serializers.FloatField(
        source="sli", allow_null=True, help_text="The share that was good."
    )
    coverage = serializers.FloatField(
        allow_null=True, help_text="Share of the watched time that is known."
    )
    unit = serializers.SerializerMethodField(help_text="seconds or events")
    total = serializers.FloatField(help_text="What counted, in units.")
    bad = serializers.FloatField()
    budget = serializers.FloatField(help_text="How much may be bad over the window, in units.")
    budget_used = serializers.FloatField(source="used_share", allow_null=True)
    budget_remaining = serializers.FloatField(source="remaining_share", allow_null=True)
    burn_rates = serializers.DictField(
        child=serializers.FloatField(allow_null=True),
        help_text="By window, such as 1h; 1 spends exactly the budget.",
    )
    burn_per_day = serializers.FloatField(
        source="per_day", allow_null=True, help_text="Share of the budget that the last day spent."
    )
    exhausted_at = serializers.DateTimeField(
        allow_null=True, help_text="At the rate of the last hour; null if it lasts."
    )
    burning = serializers.CharField(
        help_text="The rule of the worst open alert about its burning; empty without any."
    )
    fails_gate = serializers.BooleanField()
    consequence = serializers.CharField()

    def get_unit(self, found: Standing) -> str:
        """Return what the amounts are."""
        return "events" if found.counts_events else "seconds"


class CurveSerializer(serializers.Serializer[Any]):
    """Columns of equal length, in time order; null before there was any history."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    at = serializers.ListField(
        child=serializers.IntegerField(), help_text="End of each step, in seconds since 1970."
    )
    remaining_percent = serializers.ListField(
        child=serializers.FloatField(allow_null=True),
        help_text="What was left of the budget; 0 when it was overspent.",
    )


class ById(KeysetPagination):
    """Pages in the order of creation."""

    ordering: tuple[str, ...] = ("id",)


@extend_schema_view(
    list=extend_schema(
        parameters=[_SERVICE], description="Objectives; `service` takes the id of a service."
    ),
    retrieve=extend_schema(description="One objective."),
    create=extend_schema(description="Promise something of a service."),
    partial_update=extend_schema(
        description="Change the given fields of an objective; its service stays."
    ),
    destroy=extend_schema(description="Delete an objective with its snapshots."),
)
class SLOViewSet(ModelViewSet[SLO]):
    """What is promised of services; filter `service` by id."""

    queryset = SLO.objects.prefetch_related("checks")
    serializer_class = SLOSerializer
    pagination_class = ById
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    capabilities: ClassVar = {
        "list": VIEW,
        "retrieve": VIEW,
        "create": "reliability.add_slo",
        "partial_update": "reliability.change_slo",
        "destroy": "reliability.delete_slo",
    }

    def get_queryset(self) -> QuerySet[SLO]:
        found = super().get_queryset()
        return found.filter(**filters.ids(self.request, service="service"))

    def perform_create(self, serializer: BaseSerializer[SLO]) -> None:
        data = _asked(serializer)
        service = data.pop("service")
        serializer.instance = changes.create(
            actor=actor_of(self.request), service_id=service.pk, **data
        )

    def perform_update(self, serializer: BaseSerializer[SLO]) -> None:
        data = _asked(serializer)
        data.pop("service", None)
        changes.update(actor=actor_of(self.request), slo_id=int(self.kwargs["pk"]), **data)
        serializer.instance = self.get_object()

    def perform_destroy(self, instance: SLO) -> None:
        changes.delete(actor=actor_of(self.request), slo_id=instance.pk)


class SLOStatusView(ListAPIView[SLO]):
    """Where every objective stands that is on."""

    queryset = objectives.slos().filter(enabled=True)
    serializer_class = StandingSerializer
    pagination_class = ById
    capabilities: ClassVar = {"GET": VIEW}

    def get_queryset(self) -> QuerySet[SLO]:
        found = super().get_queryset()
        return found.filter(**filters.ids(self.request, service="service"))

    @extend_schema(parameters=[_SERVICE], responses=StandingSerializer(many=True))
    def get(self, request: Request, *_: object, **__: object) -> Response:
        """Judge the objectives of the page now; `service` takes the id of a service."""
        page = self.paginate_queryset(self.get_queryset()) or []
        found = objectives.standings(page)
        return self.get_paginated_response(StandingSerializer(found, many=True).data)


class BudgetView(APIView):
    """How the budget of an objective was spent; the curve of the console reads it."""

    capabilities: ClassVar = {"GET": VIEW}

    @extend_schema(responses=CurveSerializer)
    def get(self, request: Request, pk: int) -> Response:
        slo = objectives.slos().filter(pk=pk).first()
        if slo is None:
            message = "There is no such objective."
            raise NotFoundError(message)
        found = objectives.curve(objectives.standing(slo))
        return Response(
            CurveSerializer(
                {
                    "start": found.start,
                    "end": found.end,
                    "at": [round(at.timestamp()) for at in found.at],
                    "remaining_percent": [
                        None if share is None else max(share * 100, 0.0)
                        for share in found.remaining
                    ],
                }
            ).data
        )


def _asked(serializer: BaseSerializer[SLO]) -> dict[str, Any]:
    data = dict(serializer.validated_data)
    if "checks" in data:
        data["checks"] = [check.pk for check in data["checks"]]
    return data
