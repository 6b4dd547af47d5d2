"""Silences by API: when nobody is told of what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from accounts.actors import actor_of
from core.rest.pagination import KeysetPagination
from core.rest.serializers import StrictSerializer
from notifications.api.matching import matchers_field
from notifications.models import Silence
from notifications.selectors.routing import holding
from notifications.services import silences

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.serializers import BaseSerializer

_VIEW = "notifications.view_silence"


class NewestFirst(KeysetPagination):
    """Pages from the newest on; ids rise with time."""

    ordering: tuple[str, ...] = ("-id",)


class SilenceSerializer(StrictSerializer[Silence], serializers.ModelSerializer[Silence]):
    """A silence; `everything` confirms one without conditions."""

    matchers: Any = matchers_field()
    starts_at = serializers.DateTimeField(required=False)
    everything = serializers.BooleanField(write_only=True, default=False)

    class Meta:
        model = Silence
        fields: ClassVar = [
            "id",
            "matchers",
            "starts_at",
            "ends_at",
            "comment",
            "everything",
            "author",
            "ended_at",
            "ended_by",
            "replaces",
            "created_at",
        ]
        read_only_fields: ClassVar = ["author", "ended_at", "ended_by", "replaces", "created_at"]


class HoldingSerializer(serializers.Serializer[Any]):
    """The query parameters of the list."""

    active = serializers.BooleanField(required=False, allow_null=True, default=None)


@extend_schema_view(
    retrieve=extend_schema(description="One silence."),
    create=extend_schema(
        description="Let nobody be told of alerts that meet all conditions, until an end."
    ),
)
class SilenceViewSet(mixins.CreateModelMixin, ReadOnlyModelViewSet[Silence]):
    """Silences, newest first."""

    queryset = Silence.objects.all()
    serializer_class = SilenceSerializer
    pagination_class = NewestFirst
    lookup_value_regex = "[0-9]{1,18}"
    capabilities: ClassVar = {
        "list": _VIEW,
        "retrieve": _VIEW,
        "create": "notifications.add_silence",
        "replace": "notifications.change_silence",
        "end": "notifications.delete_silence",
    }

    def get_queryset(self) -> QuerySet[Silence]:
        rows = super().get_queryset()
        if self.action != "list":
            return rows
        asked = HoldingSerializer(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        is_active = asked.validated_data["active"]
        holds = holding(timezone.now())
        return rows if is_active is None else rows.filter(holds if is_active else ~holds)

    @extend_schema(
        parameters=[HoldingSerializer],
        description="Silences, newest first; `active` narrows to those that hold now, or do not.",
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401  # the framework's signature
        return super().list(request, *args, **kwargs)

    def perform_create(self, serializer: BaseSerializer[Silence]) -> None:
        serializer.instance = silences.create(
            actor=actor_of(self.request), **serializer.validated_data
        )

    @extend_schema(responses={200: SilenceSerializer})
    @action(detail=True, methods=["post"])
    def replace(self, request: Request, pk: str) -> Response:
        """End a silence and add another in its place."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        row = silences.replace(actor=actor_of(request), silence_id=int(pk), **asked.validated_data)
        return Response(self.get_serializer(row).data)

    @extend_schema(request=None, responses={200: SilenceSerializer})
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: str) -> Response:
        """End a silence now; what it kept back and still holds is told at once."""
        row = silences.end(actor=actor_of(request), silence_id=int(pk))
        return Response(self.get_serializer(row).data)
