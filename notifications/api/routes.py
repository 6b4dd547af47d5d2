"""Routes by API: who is told of what, in their order, and what would happen to an alert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from accounts.actors import actor_of
from core.errors import NotFoundError
from core.rest.serializers import StrictSerializer
from notifications.api.matching import FactsSerializer, matchers_field
from notifications.api.serializers import SEES_RECIPIENTS
from notifications.engine.matching import AlertFacts
from notifications.models import Event, Route
from notifications.selectors.routing import facts_of, plan
from notifications.services import routes

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.serializers import BaseSerializer

_VIEW = "notifications.view_route"
_CHANGE = "notifications.change_route"


class RouteSerializer(StrictSerializer[Route], serializers.ModelSerializer[Route]):
    """A route; `channels` are ids, and `chain` is the id of an escalation."""

    matchers: Any = matchers_field(required=False)
    group_by = serializers.ListField(
        child=serializers.CharField(max_length=120), required=False, max_length=20
    )
    channels: Any = serializers.ListField(child=serializers.UUIDField(), required=False)
    chain: Any = serializers.IntegerField(required=False, allow_null=True, source="chain_id")

    class Meta:
        model = Route
        fields: ClassVar = [
            "id",
            *routes.ROUTE_FIELDS,
            "position",
            "is_default",
            "created_at",
        ]
        read_only_fields: ClassVar = ["position", "is_default", "created_at"]
        # The service tells of a name that is taken.
        extra_kwargs: ClassVar[dict[str, Any]] = {"name": {"validators": []}}

    def to_representation(self, instance: Route) -> dict[str, Any]:
        """Show the keys of channels."""
        channels = [str(row.pk) for row in instance.channels.all()]
        shown = {name: field for name, field in self.fields.items() if name != "channels"}
        told = {
            name: field.to_representation(value)
            if (value := field.get_attribute(instance)) is not None
            else None
            for name, field in shown.items()
        }
        return {**told, "channels": channels}


class MoveSerializer(StrictSerializer[Any]):
    """Where to: one place up or down."""

    up = serializers.BooleanField()


class TriedSerializer(serializers.Serializer[Any]):
    """One route as the alert meets it."""

    route = serializers.CharField(source="route.name")
    is_taken = serializers.BooleanField()
    why = serializers.CharField()


class ReachedSerializer(serializers.Serializer[Any]):
    """One whom a message would go to."""

    channel = serializers.CharField(source="channel.name")
    kind = serializers.CharField(source="channel.kind")
    recipient = serializers.CharField()
    user_id = serializers.UUIDField(allow_null=True)
    quiet_until = serializers.DateTimeField(allow_null=True)


class ToldSerializer(serializers.Serializer[Any]):
    """What one route would do."""

    route = serializers.CharField(source="route.name")
    shared = serializers.DictField()
    first_at = serializers.DateTimeField()
    reached = ReachedSerializer(many=True)
    steps = serializers.ListField(child=serializers.CharField())
    trouble = serializers.CharField()


class OutlookSerializer(serializers.Serializer[Any]):
    """What would happen to an alert."""

    silence = serializers.SerializerMethodField()
    tried = TriedSerializer(many=True)
    told = ToldSerializer(many=True)

    def get_silence(self, found: Any) -> int | None:  # noqa: ANN401  # a plan
        """Return the id of the silence that keeps it back."""
        return found.silence.pk if found.silence is not None else None


@extend_schema_view(
    list=extend_schema(description="Routes in the order in which they are asked."),
    retrieve=extend_schema(description="One route."),
    create=extend_schema(description="Add a route before the default one."),
    partial_update=extend_schema(description="Change the given settings of a route."),
    destroy=extend_schema(
        description="Delete a route. Whoever its open threads have told hears when it is over."
    ),
)
class RouteViewSet(ModelViewSet[Route]):
    """Routes; the default one is for every alert that no other takes."""

    queryset = Route.objects.prefetch_related("channels")
    serializer_class = RouteSerializer
    pagination_class = None
    lookup_value_regex = "[0-9]{1,18}"
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    capabilities: ClassVar = {
        "list": _VIEW,
        "retrieve": _VIEW,
        "create": "notifications.add_route",
        "partial_update": _CHANGE,
        "destroy": "notifications.delete_route",
        "move": _CHANGE,
        "tried": _VIEW,
    }

    def perform_create(self, serializer: BaseSerializer[Route]) -> None:
        made = routes.create(actor=actor_of(self.request), **_fields(serializer.validated_data))
        serializer.instance = self.get_queryset().get(pk=made.pk)

    def perform_update(self, serializer: BaseSerializer[Route]) -> None:
        routes.update(
            actor=actor_of(self.request),
            route_id=int(self.kwargs["pk"]),
            **_fields(serializer.validated_data),
        )
        serializer.instance = self.get_object()

    def perform_destroy(self, instance: Route) -> None:
        routes.delete(actor=actor_of(self.request), route_id=instance.pk)

    @extend_schema(request=MoveSerializer, responses=RouteSerializer(many=True))
    @action(detail=True, methods=["post"])
    def move(self, request: Request, pk: str) -> Response:
        """Ask a route one place earlier or later; return all in their order."""
        asked = MoveSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        routes.move(actor=actor_of(request), route_id=int(pk), up=asked.validated_data["up"])
        return Response(self.get_serializer(self.get_queryset(), many=True).data)

    @extend_schema(request=FactsSerializer, responses=OutlookSerializer)
    @action(detail=False, methods=["post"], url_path="try", url_name="try")
    def tried(self, request: Request) -> Response:
        """Tell what would happen to an alert; nothing is raised and nobody is told."""
        asked = FactsSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        found = plan(
            _facts(asked.validated_data),
            at=asked.validated_data.get("at") or timezone.now(),
            sees_recipients=request.user.has_perm(SEES_RECIPIENTS),
        )
        return Response(OutlookSerializer(found).data)


def _fields(given: dict[str, Any]) -> Any:  # noqa: ANN401  # the keywords of the service
    return {("chain" if name == "chain_id" else name): value for name, value in given.items()}


def _facts(given: dict[str, Any]) -> AlertFacts:
    if "event" in given:
        event = Event.objects.filter(pk=given["event"]).first()
        if event is None:
            told = "There is no such event."
            raise NotFoundError(told)
        return facts_of(event)
    names = ("kind", "severity", "service", "labels", "dedup_key")
    return AlertFacts(**{name: given[name] for name in names})
