"""Heartbeats by API: the rhythm beside its check, what the job reported, a new address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import actor_of
from core.rest.pagination import KeysetPagination
from core.rest.serializers import StrictSerializer
from reliability.models import Check, Heartbeat, HeartbeatPing
from reliability.selectors import heartbeats
from reliability.selectors.incidents import SEE_ANSWERS
from reliability.services import rhythms

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request

CHANGE_CHECK = "reliability.change_check"


class HeartbeatSerializer(StrictSerializer[Heartbeat], serializers.ModelSerializer[Heartbeat]):
    """The rhythm of a heartbeat and where its job stands.

    The address, by which anybody may report, is shown to those who may change checks.
    """

    address = serializers.SerializerMethodField()

    class Meta:
        model = Heartbeat
        fields: ClassVar = [
            *rhythms.HEARTBEAT_FIELDS,
            "address",
            "status",
            "last_ping_at",
            "last_success_at",
            "last_duration_ms",
            "started_at",
            "due_at",
        ]
        read_only_fields: ClassVar = fields[len(rhythms.HEARTBEAT_FIELDS) :]

    def get_address(self, heartbeat: Heartbeat) -> str | None:
        """Return where the job reports; None for who may not know, and for the platform's own."""
        request = self.context.get("request")
        if heartbeat.job or request is None or not request.user.has_perm(CHANGE_CHECK):
            return None
        return heartbeats.address(heartbeat)

    def to_internal_value(self, data: Any) -> Any:  # noqa: ANN401  # as the base has it
        """Return what was given and nothing else: what is left out keeps its value."""
        found = super().to_internal_value(data)
        return {name: value for name, value in found.items() if name in data}


class PingSerializer(serializers.ModelSerializer[HeartbeatPing]):
    """One report of a job."""

    class Meta:
        model = HeartbeatPing
        fields: ClassVar = ["id", "at", "kind", "exit_code", "run_id", "duration_ms"]


class PingBodySerializer(PingSerializer):
    """One report with what the job wrote, for those who operate."""

    class Meta(PingSerializer.Meta):
        fields: ClassVar = [*PingSerializer.Meta.fields, "address", "body"]


class PingPages(KeysetPagination):
    """Pages from the newest on; ids rise with time."""

    ordering: tuple[str, ...] = ("-id",)


class PingsView(ListAPIView[HeartbeatPing]):
    """What a job reported, newest first; bodies only for those who operate."""

    queryset = HeartbeatPing.objects.all()
    serializer_class = PingSerializer
    pagination_class = PingPages
    capabilities: ClassVar = {"GET": "reliability.view_heartbeatping"}

    def get_queryset(self) -> QuerySet[HeartbeatPing]:
        heartbeat = get_object_or_404(Heartbeat, pk=self.kwargs["pk"])
        return super().get_queryset().filter(heartbeat=heartbeat)

    def get_serializer_class(self) -> type[PingSerializer]:
        return PingBodySerializer if self.request.user.has_perm(SEE_ANSWERS) else PingSerializer


class RotateView(APIView):
    """A new address for a heartbeat."""

    capabilities: ClassVar = {"POST": CHANGE_CHECK}

    @extend_schema(request=None, responses=HeartbeatSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Give the heartbeat a new address; the old one answers 404 from now on."""
        heartbeat = rhythms.rotate_token(actor=actor_of(request), check_id=pk)
        return Response(HeartbeatSerializer(heartbeat, context={"request": request}).data)


class DurationsSerializer(serializers.Serializer[Any]):
    """How long runs took, as columns."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    at = serializers.ListField(child=serializers.IntegerField())
    seconds = serializers.ListField(child=serializers.FloatField())


class DurationsView(APIView):
    """How long the runs of a job took."""

    capabilities: ClassVar = {"GET": "reliability.view_heartbeatping"}

    @extend_schema(responses=DurationsSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """Return the newest 500 runs that told both start and end, in the order of time."""
        get_object_or_404(Check, pk=pk, kind=Check.Kind.HEARTBEAT)
        return Response(heartbeats.durations(pk))
