"""Alerts by API: read only, since rules raise and end them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.viewsets import ReadOnlyModelViewSet

from core.rest import filters
from reliability.api.views import NewestFirst
from reliability.models import Alert

if TYPE_CHECKING:
    from django.db.models import QuerySet


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """A rule that fired for one thing; `suppressed_by` says why nobody was told."""

    check = serializers.IntegerField(source="check_of_id", read_only=True, allow_null=True)

    class Meta:
        model = Alert
        fields: ClassVar = [
            "id",
            "fingerprint",
            "rule",
            "severity",
            "state",
            "title",
            "detail",
            "labels",
            "service",
            "check",
            "slo",
            "incident",
            "suppressed_by",
            "count",
            "starts_at",
            "last_seen_at",
            "ends_at",
        ]


@extend_schema_view(
    list=extend_schema(
        description="Alerts, newest first; `state`, `rule`, `severity`, `service`, `check` and "
        "`incident` (ids) compare exactly."
    ),
    retrieve=extend_schema(description="One alert."),
)
class AlertViewSet(ReadOnlyModelViewSet[Alert]):
    """Alerts; filters compare exactly."""

    queryset = Alert.objects.all()
    serializer_class = AlertSerializer
    pagination_class = NewestFirst
    capabilities: ClassVar = {
        "list": "reliability.view_alert",
        "retrieve": "reliability.view_alert",
    }

    def get_queryset(self) -> QuerySet[Alert]:
        found = super().get_queryset()
        if self.action != "list":
            return found
        wanted = filters.texts(self.request, state="state", rule="rule", severity="severity")
        ids = filters.ids(self.request, service="service", check="check_of", incident="incident")
        return found.filter(**wanted, **ids)
