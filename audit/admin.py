"""The audit log in the console: searchable, never editable."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils.html import format_html

from audit.models import AuditRecord
from core.adminbase import RecordAdmin
from core.components import badge


@admin.register(AuditRecord)
class AuditRecordAdmin(RecordAdmin[AuditRecord]):
    """Who did what, when, from where, and was it allowed."""

    list_display = [
        "at",
        "actor_name",
        "action",
        "target",
        "shown_outcome",
        "address",
        "request_id",
    ]
    list_filter = ["outcome", "actor_kind", "at"]
    search_fields = ["action", "actor_name", "target_name", "target_id", "request_id"]
    search_help_text = "Action, actor, target or request id"
    fields = [
        "at",
        ("actor_name", "actor_kind"),
        "action",
        "outcome",
        "target",
        "reason",
        "details",
        ("address", "user_agent"),
        ("request_id", "trace_id"),
    ]

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
