"""What was revoked, in the console."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin

from accounts.models import AccessChange
from core.adminbase import RecordAdmin
from core.components import when


@admin.register(AccessChange)
class AccessChangeAdmin(RecordAdmin[AccessChange]):
    """What was revoked: the feed that every process follows."""

    exports = True
    empty_text = "Nothing was revoked yet."
    list_display = ["what", "value", "told", "matters", "actor", "reason"]
    list_filter = ["kind"]
    search_fields = ["value", "actor"]
    search_help_text = "Id or who did it"
    fields: ClassVar[Any] = ["what", "value", "told", "matters", "actor", "reason"]
    readonly_fields: ClassVar[Any] = fields

    @admin.display(description="What", ordering="kind")
    def what(self, change: AccessChange) -> str:
        return change.get_kind_display()

    @admin.display(description="When", ordering="seq")
    def told(self, change: AccessChange) -> str:
        return when(change.created_at)

    @admin.display(description="Matters until", ordering="not_after")
    def matters(self, change: AccessChange) -> str:
        return when(change.not_after)
