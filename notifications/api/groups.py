"""Threads by API: what alerts have in common, how they stand, and who takes care."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from accounts.actors import actor_of
from core.rest.pagination import KeysetPagination
from notifications.models import Event, Group, GroupMember
from notifications.services import acknowledgements

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request

_VIEW = "notifications.view_group"
_MOST_MEMBERS = 200


class NewestFirst(KeysetPagination):
    """Pages from the newest on; ids rise with time."""

    ordering: tuple[str, ...] = ("-id",)


class MemberSerializer(serializers.ModelSerializer[GroupMember]):
    """One alert of a thread, and what people were last told of it."""

    class Meta:
        model = GroupMember
        fields: ClassVar = [
            "dedup_key",
            "event",
            "status",
            "severity",
            "since",
            "told",
            "acked_at",
        ]


class GroupSerializer(serializers.ModelSerializer[Group]):
    """A thread in a list."""

    is_open = serializers.BooleanField()

    class Meta:
        model = Group
        fields: ClassVar = [
            "id",
            "key",
            "title",
            "severity",
            "route",
            "route_name",
            "common",
            "is_open",
            "opened_at",
            "closed_at",
            "last_sent_at",
            "last_seq",
            "flush_at",
            "repeat_at",
            "acked_at",
            "acked_name",
            "ack_expires_at",
            "gathered_into",
        ]


class GroupDetailSerializer(GroupSerializer):
    """A thread with its newest alerts, at most 200."""

    members = serializers.SerializerMethodField()

    class Meta(GroupSerializer.Meta):
        fields: ClassVar = [*GroupSerializer.Meta.fields, "members"]

    @extend_schema_field(MemberSerializer(many=True))
    def get_members(self, group: Group) -> list[dict[str, Any]]:
        """Return the newest alerts."""
        rows = group.members.order_by("-event_id")[:_MOST_MEMBERS]
        return list(MemberSerializer(rows, many=True).data)


class WantedSerializer(serializers.Serializer[Any]):
    """The query parameters of the list."""

    open = serializers.BooleanField(required=False, allow_null=True, default=None)
    severity = serializers.ChoiceField(choices=Event.Severity.choices, required=False)
    route = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)


@extend_schema_view(retrieve=extend_schema(description="One thread with its alerts."))
class GroupViewSet(ReadOnlyModelViewSet[Group]):
    """Threads of messages, newest first."""

    queryset = Group.objects.all()
    serializer_class = GroupSerializer
    pagination_class = NewestFirst
    lookup_value_regex = "[0-9]{1,18}"
    capabilities: ClassVar = {
        "list": _VIEW,
        "retrieve": _VIEW,
        "acknowledge": "notifications.acknowledge_group",
    }

    def get_queryset(self) -> QuerySet[Group]:
        rows = super().get_queryset()
        if self.action != "list":
            return rows
        asked = WantedSerializer(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = dict(asked.validated_data)
        is_open = wanted.pop("open")
        if is_open is not None:
            rows = rows.filter(closed_at__isnull=is_open)
        return rows.filter(**wanted)

    def get_serializer_class(self) -> type[GroupSerializer]:
        return GroupSerializer if self.action == "list" else GroupDetailSerializer

    @extend_schema(
        parameters=[WantedSerializer],
        description="Threads, newest first; `open`, `severity` and `route` narrow the list.",
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401  # the framework's signature
        return super().list(request, *args, **kwargs)

    @extend_schema(request=None, responses=GroupDetailSerializer)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: str) -> Response:
        """Say that somebody takes care of all that holds in a thread; its escalation ends."""
        acknowledgements.acknowledge(actor=actor_of(request), group_id=int(pk))
        return Response(self.get_serializer(self.get_object()).data)
