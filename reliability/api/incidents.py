"""Incidents by API: read, take care, end, and what was learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from accounts.actors import actor_of
from core.rest import filters
from core.rest.serializers import StrictSerializer
from reliability.api.views import NewestFirst
from reliability.models import Incident, IncidentEvent
from reliability.selectors.incidents import SEE_ANSWERS
from reliability.services import incidents

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.serializers import BaseSerializer

_CARE = "reliability.acknowledge_incident"
_CHANGE = "reliability.change_incident"


class IncidentEventSerializer(serializers.ModelSerializer[IncidentEvent]):
    """One line of a timeline."""

    class Meta:
        model = IncidentEvent
        fields: ClassVar = ["id", "at", "kind", "actor_kind", "actor_name", "text"]


class IncidentSerializer(serializers.ModelSerializer[Incident]):
    """An incident without its timeline; `seq` numbers what was told of it."""

    check = serializers.IntegerField(source="check_of_id", read_only=True, allow_null=True)
    owner = serializers.CharField(source="owner.username", read_only=True, default=None)

    class Meta:
        model = Incident
        fields: ClassVar = [
            "id",
            "title",
            "service",
            "service_name",
            "check",
            "severity",
            "state",
            "owner",
            "failure",
            "detail",
            "is_public",
            "reopened",
            "started_at",
            "opened_at",
            "acknowledged_at",
            "acknowledged_until",
            "mitigated_at",
            "resolved_at",
            "closed_at",
        ]


class IncidentDetailSerializer(IncidentSerializer):
    """An incident with its timeline."""

    events = IncidentEventSerializer(many=True, read_only=True)

    class Meta(IncidentSerializer.Meta):
        fields: ClassVar = [*IncidentSerializer.Meta.fields, "post_mortem", "events"]


class IncidentAnswerSerializer(IncidentDetailSerializer):
    """An incident with what the target answered, for those who operate."""

    class Meta(IncidentDetailSerializer.Meta):
        fields: ClassVar = [*IncidentDetailSerializer.Meta.fields, "excerpt"]


class ReasonSerializer(StrictSerializer[Any]):
    """Why somebody takes a step."""

    reason = serializers.CharField(max_length=incidents.MAX_NOTE)


class NoteSerializer(StrictSerializer[Any]):
    """What is added to the timeline."""

    text = serializers.CharField(max_length=incidents.MAX_NOTE)


class IncidentChangeSerializer(StrictSerializer[Any]):
    """What may be set on an incident; `owner` is the name of an account, null means nobody."""

    severity = serializers.ChoiceField(choices=Incident.Severity.choices, required=False)
    owner = serializers.CharField(max_length=150, required=False, allow_null=True)
    is_public = serializers.BooleanField(required=False)
    post_mortem = serializers.CharField(
        max_length=incidents.MAX_POST_MORTEM, required=False, allow_blank=True
    )


@extend_schema_view(
    list=extend_schema(
        description="Incidents, newest first; `state`, `severity` and `service` (an id) compare "
        "exactly."
    ),
    retrieve=extend_schema(description="One incident with its timeline."),
)
class IncidentViewSet(ReadOnlyModelViewSet[Incident]):
    """Incidents; filters `state`, `severity` and `service` (an id) compare exactly."""

    queryset = Incident.objects.select_related("owner")
    serializer_class = IncidentSerializer
    pagination_class = NewestFirst
    http_method_names = ["get", "post", "patch", "head", "options"]
    capabilities: ClassVar = {
        "list": "reliability.view_incident",
        "retrieve": "reliability.view_incident",
        "acknowledge": _CARE,
        "notes": _CARE,
        "partial_update": _CHANGE,
        "mitigate": _CHANGE,
        "resolve": _CHANGE,
        "reopen": _CHANGE,
        "close": _CHANGE,
        "updates": _CHANGE,
    }

    def get_queryset(self) -> QuerySet[Incident]:
        found = super().get_queryset()
        if self.action != "list":
            return found.prefetch_related("events")
        # What a target answered is for the page of one incident.
        return found.defer("excerpt", "post_mortem").filter(
            **filters.texts(self.request, state="state", severity="severity"),
            **filters.ids(self.request, service="service"),
        )

    def get_serializer_class(self) -> type[BaseSerializer[Incident]]:
        if self.action == "list":
            return IncidentSerializer
        if self.request.user.has_perm(SEE_ANSWERS):
            return IncidentAnswerSerializer
        return IncidentDetailSerializer

    @extend_schema(request=IncidentChangeSerializer, responses=IncidentAnswerSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Set its severity, its owner, whether strangers see it, or its post-mortem."""
        return self._act(request, IncidentChangeSerializer, incidents.update)

    @extend_schema(request=None, responses=IncidentAnswerSerializer)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: str) -> Response:
        """Say that you take care of it; of a critical one that holds for half an hour."""
        return self._act(request, None, incidents.acknowledge)

    @extend_schema(request=NoteSerializer, responses=IncidentAnswerSerializer)
    @action(detail=True, methods=["post"])
    def mitigate(self, request: Request, pk: str) -> Response:
        """Say that its effects are over, though not its cause."""
        return self._act(request, NoteSerializer, incidents.mitigate)

    @extend_schema(request=ReasonSerializer, responses=IncidentAnswerSerializer)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: str) -> Response:
        """End it by hand; alerts that still hold do not open it again."""
        return self._act(request, ReasonSerializer, incidents.resolve)

    @extend_schema(request=ReasonSerializer, responses=IncidentAnswerSerializer)
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, pk: str) -> Response:
        """Open it again, if it was resolved too early."""
        return self._act(request, ReasonSerializer, incidents.reopen)

    @extend_schema(request=None, responses=IncidentAnswerSerializer)
    @action(detail=True, methods=["post"])
    def close(self, request: Request, pk: str) -> Response:
        """Put a resolved one away: what fires after this opens another."""
        return self._act(request, None, incidents.close)

    @extend_schema(request=NoteSerializer, responses={201: IncidentEventSerializer})
    @action(detail=True, methods=["post"])
    def notes(self, request: Request, pk: str) -> Response:
        """Add a note to the timeline."""
        return self._add(request, incidents.add_note)

    @extend_schema(request=NoteSerializer, responses={201: IncidentEventSerializer})
    @action(detail=True, methods=["post"])
    def updates(self, request: Request, pk: str) -> Response:
        """Add what strangers read on the status page."""
        return self._add(request, incidents.publish_update)

    def _act(
        self,
        request: Request,
        asks: type[StrictSerializer[Any]] | None,
        service: Callable[..., Incident],
    ) -> Response:
        incident = self.get_object()
        given: dict[str, Any] = {}
        if asks is not None:
            asked = asks(data=request.data)
            asked.is_valid(raise_exception=True)
            given = dict(asked.validated_data)
        service(actor=actor_of(request), incident_id=incident.pk, **given)
        return Response(self.get_serializer(self.get_object()).data)

    def _add(self, request: Request, service: Callable[..., IncidentEvent]) -> Response:
        incident = self.get_object()
        asked = NoteSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        event = service(
            actor=actor_of(request), incident_id=incident.pk, text=asked.validated_data["text"]
        )
        return Response(IncidentEventSerializer(event).data, status=status.HTTP_201_CREATED)
