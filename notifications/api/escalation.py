"""Escalations by API: whom to tell next while nobody acknowledges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.viewsets import ModelViewSet, ReadOnlyModelViewSet

from accounts.actors import actor_of
from core.rest import filters
from core.rest.pagination import KeysetPagination
from core.rest.serializers import StrictSerializer
from notifications.models import EscalationChain, EscalationRun, EscalationStep, Event
from notifications.selectors import escalation as selectors
from notifications.services import chains

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.serializers import BaseSerializer

_VIEW = "notifications.view_escalationchain"


class NewestFirst(KeysetPagination):
    """Pages from the newest on; ids rise with time."""

    ordering: tuple[str, ...] = ("-id",)


class StepSerializer(StrictSerializer[EscalationStep]):
    """One step: seconds after the one before it, and keys of whom it tells."""

    wait_seconds = serializers.IntegerField(min_value=0, max_value=chains.LONGEST_WAIT, default=300)
    min_severity = serializers.ChoiceField(
        choices=Event.Severity.choices, default=Event.Severity.INFO
    )
    channels: Any = serializers.ListField(child=serializers.UUIDField(), default=list)
    people: Any = serializers.ListField(child=serializers.UUIDField(), default=list)
    schedules: Any = serializers.ListField(child=serializers.IntegerField(), default=list)

    def to_representation(self, instance: EscalationStep) -> dict[str, Any]:
        """Show keys, each list in its order."""
        return {
            "wait_seconds": instance.wait_seconds,
            "min_severity": instance.min_severity,
            "channels": [str(row.pk) for row in instance.channels.all()],
            "people": [str(row.pk) for row in instance.people.all()],
            "schedules": [row.pk for row in instance.schedules.all()],
        }


class ChainSerializer(StrictSerializer[EscalationChain], serializers.ModelSerializer[Any]):
    """An escalation with its steps; `words` tells them in sentences."""

    steps = StepSerializer(many=True)
    words = serializers.SerializerMethodField()

    class Meta:
        model = EscalationChain
        fields: ClassVar = ["id", "name", "repeats", "steps", "words", "created_at"]
        read_only_fields: ClassVar = ["created_at"]
        # The service tells of a name that is taken.
        extra_kwargs: ClassVar[dict[str, Any]] = {"name": {"validators": []}}

    def get_words(self, chain: EscalationChain) -> list[str]:
        """Tell the steps in sentences."""
        return selectors.in_words(selectors.snapshot(chain), repeats=chain.repeats)


class RunSerializer(serializers.ModelSerializer[EscalationRun]):
    """An escalation at work or over; `log` tells what each step did."""

    class Meta:
        model = EscalationRun
        fields: ClassVar = [
            "id",
            "group",
            "chain_name",
            "state",
            "position",
            "repeats_left",
            "next_step_at",
            "started_at",
            "ended_at",
            "log",
        ]


@extend_schema_view(
    list=extend_schema(description="Escalations with their steps."),
    retrieve=extend_schema(description="One escalation with its steps."),
    create=extend_schema(description="Add an escalation of 1 to 20 steps."),
    partial_update=extend_schema(
        description="Change an escalation; `steps` replaces all of them. Those at work keep what "
        "they began with."
    ),
    destroy=extend_schema(description="Delete an escalation that no route uses."),
)
class EscalationViewSet(ModelViewSet[EscalationChain]):
    """Escalations."""

    queryset = EscalationChain.objects.prefetch_related(
        "steps__channels", "steps__people", "steps__schedules"
    )
    serializer_class = ChainSerializer
    pagination_class = NewestFirst
    lookup_value_regex = "[0-9]{1,18}"
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    capabilities: ClassVar = {
        "list": _VIEW,
        "retrieve": _VIEW,
        "create": "notifications.add_escalationchain",
        "partial_update": "notifications.change_escalationchain",
        "destroy": "notifications.delete_escalationchain",
    }

    def perform_create(self, serializer: BaseSerializer[EscalationChain]) -> None:
        serializer.instance = chains.create(
            actor=actor_of(self.request), **serializer.validated_data
        )

    def perform_update(self, serializer: BaseSerializer[EscalationChain]) -> None:
        chain = self.get_object()
        settings: dict[str, Any] = {
            "name": chain.name,
            "repeats": chain.repeats,
            "steps": selectors.snapshot(chain),
            **serializer.validated_data,
        }
        chains.update(actor=actor_of(self.request), chain_id=chain.pk, **settings)
        serializer.instance = self.get_object()

    def perform_destroy(self, instance: EscalationChain) -> None:
        chains.delete(actor=actor_of(self.request), chain_id=instance.pk)


@extend_schema_view(
    list=extend_schema(
        description="Escalations at work and over, newest first; `group` takes the id of a thread."
    ),
    retrieve=extend_schema(description="One escalation with what each step did."),
)
class EscalationRunViewSet(ReadOnlyModelViewSet[EscalationRun]):
    """Escalations at work."""

    queryset = EscalationRun.objects.all()
    serializer_class = RunSerializer
    pagination_class = NewestFirst
    lookup_value_regex = "[0-9]{1,18}"
    capabilities: ClassVar = {
        "list": "notifications.view_escalationrun",
        "retrieve": "notifications.view_escalationrun",
    }

    def get_queryset(self) -> QuerySet[EscalationRun]:
        return super().get_queryset().filter(**filters.ids(self.request, group="group"))
