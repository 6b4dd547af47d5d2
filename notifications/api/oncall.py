"""On call by API: schedules, who is on call, and who stands in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.auth import get_user_model
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from accounts.actors import actor_of
from core.errors import ForbiddenError, NotFoundError
from core.rest.serializers import StrictSerializer
from notifications.api.escalation import NewestFirst
from notifications.api.fields import LocalTimeField
from notifications.models import OnCallOverride, OnCallSchedule, OnCallSlot
from notifications.selectors import oncall as selectors
from notifications.services import oncall

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.serializers import BaseSerializer

_VIEW = "notifications.view_oncallschedule"
_CHANGE = "notifications.change_oncallschedule"
_STAND_IN = "notifications.override_oncallschedule"
_LONGEST = timedelta(days=62)
# Weeks are counted from days before and after, which the calendar must still have.
_YEARS = (2000, 2200)


class SlotSerializer(StrictSerializer[OnCallSlot]):
    """Hours of a weekday, 0 is Monday; an end at or before the start lies on the next day."""

    weekday = serializers.IntegerField(min_value=0, max_value=6)
    starts = LocalTimeField()
    ends = LocalTimeField()
    user = serializers.UUIDField()

    def to_representation(self, instance: OnCallSlot) -> dict[str, Any]:
        """Show the person by key."""
        return {
            "weekday": instance.weekday,
            "starts": f"{instance.starts:%H:%M:%S}",
            "ends": f"{instance.ends:%H:%M:%S}",
            "user": str(instance.user_id),
        }


class OverrideSerializer(serializers.ModelSerializer[OnCallOverride]):
    """Somebody stands in."""

    class Meta:
        model = OnCallOverride
        fields: ClassVar = ["id", "user", "starts_at", "ends_at", "reason", "author", "created_at"]


class NewOverrideSerializer(StrictSerializer[Any]):
    """Who stands in, and when."""

    user = serializers.UUIDField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True)


class ScheduleSerializer(StrictSerializer[OnCallSchedule], serializers.ModelSerializer[Any]):
    """A schedule with its slots."""

    slots = SlotSerializer(many=True)
    time_zone = serializers.CharField(max_length=64, default="UTC")

    class Meta:
        model = OnCallSchedule
        fields: ClassVar = ["id", "name", "time_zone", "slots", "created_at"]
        read_only_fields: ClassVar = ["created_at"]
        extra_kwargs: ClassVar[dict[str, Any]] = {"name": {"validators": []}}


class SpanQuerySerializer(serializers.Serializer[Any]):
    """From when until when; a week from now without."""

    start = serializers.DateTimeField(required=False)
    end = serializers.DateTimeField(required=False)


class StretchSerializer(serializers.Serializer[Any]):
    """Who is on call from when until when; nobody in a gap."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    user = serializers.UUIDField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    is_override = serializers.BooleanField()


@extend_schema_view(
    list=extend_schema(description="Schedules with their slots."),
    retrieve=extend_schema(description="One schedule with its slots."),
    create=extend_schema(description="Add a schedule of weekly slots."),
    partial_update=extend_schema(description="Change a schedule; `slots` replaces all of them."),
    destroy=extend_schema(description="Delete a schedule that no escalation names."),
)
class OnCallViewSet(ModelViewSet[OnCallSchedule]):
    """Schedules on call."""

    queryset = OnCallSchedule.objects.prefetch_related("slots")
    serializer_class = ScheduleSerializer
    pagination_class = NewestFirst
    lookup_value_regex = "[0-9]{1,18}"
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    capabilities: ClassVar = {
        "list": _VIEW,
        "retrieve": _VIEW,
        "create": "notifications.add_oncallschedule",
        "partial_update": _CHANGE,
        "destroy": "notifications.delete_oncallschedule",
        "who": _VIEW,
        "overrides": _VIEW,
        "stand_in": _STAND_IN,
        "end_override": _STAND_IN,
    }

    def perform_create(self, serializer: BaseSerializer[OnCallSchedule]) -> None:
        serializer.instance = oncall.create(
            actor=actor_of(self.request), **serializer.validated_data
        )

    def perform_update(self, serializer: BaseSerializer[OnCallSchedule]) -> None:
        schedule = self.get_object()
        kept: list[dict[str, Any]] = [
            {"weekday": row.weekday, "starts": row.starts, "ends": row.ends, "user": row.user_id}
            for row in schedule.slots.all()
        ]
        settings: dict[str, Any] = {
            "name": schedule.name,
            "time_zone": schedule.time_zone,
            "slots": kept,
            **serializer.validated_data,
        }
        oncall.update(actor=actor_of(self.request), schedule_id=schedule.pk, **settings)
        serializer.instance = self.get_object()

    def perform_destroy(self, instance: OnCallSchedule) -> None:
        oncall.delete(actor=actor_of(self.request), schedule_id=instance.pk)

    @extend_schema(parameters=[SpanQuerySerializer], responses=StretchSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def who(self, request: Request, pk: str) -> Response:
        """Return who is on call, a week from now or between two moments at most 62 days apart."""
        asked = SpanQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        for name, moment in asked.validated_data.items():
            if not _YEARS[0] <= moment.year < _YEARS[1]:
                message = f"Name a moment between {_YEARS[0]} and {_YEARS[1]}."
                raise serializers.ValidationError({name: [message]})
        start = asked.validated_data.get("start", timezone.now()).astimezone(UTC)
        end = asked.validated_data.get("end", start + selectors.WEEK).astimezone(UTC)
        if not start < end <= start + _LONGEST:
            message = f"It ends after it starts, at most {_LONGEST.days} days later."
            raise serializers.ValidationError({"end": [message]})
        found = selectors.between(self.get_object(), start, end)
        people = get_user_model().objects.in_bulk([part.who for part in found if part.who])
        told = [
            {
                "starts_at": part.starts,
                "ends_at": part.ends,
                "user": part.who,
                "name": str(people[part.who]) if part.who in people else None,
                "is_override": part.is_override,
            }
            for part in found
        ]
        return Response(StretchSerializer(told, many=True).data)

    @extend_schema(responses=OverrideSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def overrides(self, request: Request, pk: str) -> Response:
        """Return who stands in now or later, at most 200."""
        rows = self.get_object().overrides.filter(ends_at__gt=timezone.now())
        return Response(OverrideSerializer(rows.order_by("starts_at", "pk")[:200], many=True).data)

    @extend_schema(request=NewOverrideSerializer, responses={201: OverrideSerializer})
    @overrides.mapping.post
    def stand_in(self, request: Request, pk: str) -> Response:
        """Put oneself on call between two moments; others need the right to change schedules."""
        asked = NewOverrideSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        actor = actor_of(request)
        if given["user"] != actor.user_id and not request.user.has_perm(_CHANGE):
            message = "You may stand in yourself; who changes schedules may put others on call."
            raise ForbiddenError(message)
        added = oncall.stand_in(
            actor=actor,
            schedule_id=self.get_object().pk,
            user_id=given["user"],
            starts_at=_utc(given["starts_at"]),
            ends_at=_utc(given["ends_at"]),
            reason=given.get("reason", ""),
        )
        return Response(OverrideSerializer(added).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["delete"], url_path="overrides/(?P<override>[0-9]{1,18})")
    def end_override(self, request: Request, pk: str, override: str) -> Response:
        """Take back that one stands in; of others it needs the right to change schedules."""
        if not self.get_object().overrides.filter(pk=int(override)).exists():
            message = "There is no such entry; perhaps somebody has removed it."
            raise NotFoundError(message)
        oncall.end_override(
            actor=actor_of(request),
            override_id=int(override),
            of_others=request.user.has_perm(_CHANGE),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
