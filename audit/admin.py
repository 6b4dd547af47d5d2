"""The audit log in the console: searchable, never editable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.text import capfirst

from audit.models import AuditRecord
from core.actors import ActorKind
from core.adminbase import RecordAdmin
from core.adminlists import BeforeFilter, BoundedPaginator
from core.components import badge, when

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


class ActorFilter(admin.SimpleListFilter):
    """What stood behind the act; the kinds come from the code, not from millions of rows."""

    title = "kind of actor"
    parameter_name = "actor_kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's type is invariant
        """Offer every kind."""
        return [(kind.value, capfirst(kind.value.replace("_", " "))) for kind in ActorKind]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditRecord]
    ) -> QuerySet[AuditRecord]:
        """Compare exactly."""
        value = self.value()
        return queryset.filter(actor_kind=value) if value else queryset


@admin.register(AuditRecord)
class AuditRecordAdmin(RecordAdmin[AuditRecord]):
    """Who did what, when, from where, and was it allowed."""

    exports = True
    export_permission = "audit.export_auditrecord"
    list_display = [
        "time",
        "who",
        "shown_action",
        "target",
        "shown_outcome",
        "origin",
    ]
    list_filter = [
        "outcome",
        ActorFilter,
        BeforeFilter,
        "at",
    ]
    paginator = BoundedPaginator
    search_fields = ["action", "actor_name", "target_name", "target_id", "request_id"]
    search_help_text = "Action, actor, target or request id"
    fields = [
        ("time", "shown_outcome"),
        ("who", "actor_kind"),
        ("shown_action", "target"),
        "reason",
        "details",
        ("origin", "user_agent"),
        ("request_id", "trace_id"),
    ]
    readonly_fields = [
        "time",
        "who",
        "shown_action",
        "target",
        "shown_outcome",
        "details",
        "origin",
    ]

    @admin.display(description="Time", ordering="at")
    def time(self, row: AuditRecord) -> str:
        return when(row.at)

    @admin.display(description="Who", ordering="actor_name")
    def who(self, row: AuditRecord) -> str:
        return row.actor_name

    @admin.display(description="Action", ordering="action")
    def shown_action(self, row: AuditRecord) -> str:
        return row.action

    @admin.display(description="From", ordering="address")
    def origin(self, row: AuditRecord) -> str:
        return row.address or "-"

    @admin.display(description="Target")
    def target(self, row: AuditRecord) -> str:
        kind = row.target_type.rpartition(".")[2]
        return f"{kind} {row.target_name}".strip() or "-"

    @admin.display(description="Outcome", ordering="outcome")
    def shown_outcome(self, row: AuditRecord) -> str:
        return badge(row.outcome)

    @admin.display(description="Details")
    def details(self, row: AuditRecord) -> str:
        pretty = json.dumps(json.loads(row.payload), indent=2, ensure_ascii=False)
        return format_html("<pre>{}</pre>", pretty)
