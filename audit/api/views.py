"""Read the audit log by API."""

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.pagination import CursorPagination
from rest_framework.viewsets import ReadOnlyModelViewSet

from audit.api.serializers import AuditRecordSerializer
from audit.models import AuditRecord
from core.rest import filters
from core.rest.pagination import KeysetPagination


class AuditPagination(KeysetPagination):
    """Newest first; ids rise with time."""

    ordering: tuple[str, ...] = ("-id",)


@extend_schema_view(
    list=extend_schema(
        description="Who did what, newest first; `action`, `actor`, `target`, `outcome` and "
        "`request_id` compare exactly."
    ),
    retrieve=extend_schema(description="One act with all its details."),
)
class AuditRecordViewSet(ReadOnlyModelViewSet[AuditRecord]):
    """Who did what; filters `action`, `actor`, `target` and `outcome` compare exactly."""

    queryset = AuditRecord.objects.all()
    serializer_class = AuditRecordSerializer
    pagination_class: type[CursorPagination] = AuditPagination
    capabilities: ClassVar = {
        "list": "audit.view_auditrecord",
        "retrieve": "audit.view_auditrecord",
    }
    filters: ClassVar = {
        "action": "action",
        "actor": "actor_key",
        "target": "target_id",
        "outcome": "outcome",
        "request_id": "request_id",
    }

    def get_queryset(self) -> QuerySet[AuditRecord]:
        """Narrow the rows by the query parameters."""
        return super().get_queryset().filter(**filters.texts(self.request, **self.filters))
