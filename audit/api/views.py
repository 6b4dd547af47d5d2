"""Read the audit log by API."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from audit.api import exports
from audit.api.serializers import AuditRecordSerializer, HeadSerializer
from audit.models import AuditRecord
from audit.selectors import chain, search
from audit.services import seal
from core.errors import InvalidInputError, NotFoundError
from core.listexport import exported
from core.rest.pagination import KeysetPagination

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.pagination import CursorPagination
    from rest_framework.request import Request

_ABOUT = {
    "actor": "Key of the actor, such as the id of a user.",
    "actor_kind": "Kind of actor, such as user or api_key.",
    "category": "auth, authz, admin, data, system or security.",
    "target": "Id of what was acted on.",
    "target_type": "Kind of it, such as accounts.User.",
    "outcome": "allowed, denied or error.",
    "address": "Address that the act came from.",
    "session": "Sign-in that the act belongs to.",
    "request_id": "Request that the act belongs to.",
    "action": "Beginning of the action, such as user.",
    "since": "Not before this moment (ISO 8601).",
    "until": "Before this moment (ISO 8601).",
    "q": "Words in action, names, reason or details; without `since`, of the last 30 days.",
}
_FILTERS = [OpenApiParameter(name, str, description=about) for name, about in _ABOUT.items()]


class AuditPagination(KeysetPagination):
    """Newest first; ids rise with time."""

    ordering: tuple[str, ...] = ("-id",)


@extend_schema_view(
    list=extend_schema(
        description="Who did what, newest first. `action` compares the beginning, `q` looks into "
        "texts, the other filters compare exactly.",
        parameters=_FILTERS,
    ),
    retrieve=extend_schema(description="One act with all its details and its place in the chain."),
)
class AuditRecordViewSet(ReadOnlyModelViewSet[AuditRecord]):
    """Who did what, and the proof that nobody changed it since."""

    queryset = AuditRecord.objects.all()
    serializer_class = AuditRecordSerializer
    pagination_class: type[CursorPagination] = AuditPagination
    capabilities: ClassVar = {
        "list": "audit.view_auditrecord",
        "retrieve": "audit.view_auditrecord",
        "head": "audit.view_auditrecord",
        "export": "audit.export_auditrecord",
    }

    def get_queryset(self) -> QuerySet[AuditRecord]:
        """Narrow the rows by the query parameters."""
        given = self.request.query_params
        return search.found({name: given[name] for name in search.FILTERS if name in given})

    @extend_schema(
        responses=HeadSerializer, description="The signed head of the chain, to keep elsewhere."
    )
    @action(detail=False, url_path="head", pagination_class=None)
    def head(self, _request: Request) -> Response:
        """Tell the newest signed head."""
        checkpoint = chain.last_checkpoint()
        if checkpoint is None:
            message = "Nothing is sealed yet; the first seal comes within seconds."
            raise NotFoundError(message)
        public = chain.public_keys().get(checkpoint.key_id, b"").hex()
        lag = round(chain.seal_lag_seconds(), 3)
        told = {**chain.told(checkpoint), "public_key": public, "seal_lag_seconds": lag}
        return Response(HeadSerializer(told).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("form", str, enum=list(exports.FORMS), default="jsonl"),
            *_FILTERS,
        ],
        responses={(200, "application/x-ndjson"): OpenApiTypes.BINARY},
        description="What the filters show as a file, JSON Lines or CSV, each row with its place "
        "in the chain and its digest. The export is itself on the record.",
    )
    @action(detail=False, url_path="export", pagination_class=None)
    def export(self, request: Request) -> StreamingHttpResponse:
        """Stream the file; the record of it comes before the first row."""
        form = request.query_params.get("form", "jsonl")
        if form not in exports.FORMS:
            message = "The export cannot be made."
            raise InvalidInputError(message, errors={"form": ["One of jsonl, csv."]})
        seal.seal_all()
        rows = self.get_queryset().order_by("id")
        # What comes from here on, this export's own record included, belongs to the next one.
        newest = AuditRecord.objects.order_by("-id").values_list("id", flat=True).first() or 0
        rows = rows.filter(id__lte=newest)
        exported.send(
            type(self),
            request=request,
            model=AuditRecord,
            form=form,
            rows=rows.count(),
            query=request.query_params.urlencode(),
        )
        name = f"audit-{timezone.now():%Y-%m-%d}.{form}"
        return StreamingHttpResponse(
            exports.lines(rows.iterator(chunk_size=1_000), form),
            content_type=exports.FORMS[form],
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
            },
        )
