"""Runs that somebody asked for, in the console."""

from django.contrib import admin
from django.utils.html import format_html

from core.adminbase import RecordAdmin
from core.components import badge
from reliability.models import UptimeTest


@admin.register(UptimeTest)
class UptimeTestAdmin(RecordAdmin[UptimeTest]):
    """Runs that somebody asked for."""

    list_display = ["created_at", "requested_by", "status", "outcome"]
    list_filter = ["state"]
    fields = [("created_at", "requested_by"), ("status", "finished_at"), "error", "found"]
    readonly_fields = ["created_at", "requested_by", "status", "finished_at", "error", "found"]
    empty_text = "No test yet. Choose checks in their list and run them now."

    @admin.display(description="State", ordering="state")
    def status(self, test: UptimeTest) -> str:
        return badge(test.state)

    @admin.display(description="Outcome")
    def outcome(self, test: UptimeTest) -> str:
        good = sum(1 for result in test.results if result["ok"])
        return f"{good} of {len(test.check_ids)} good" if test.results else ""

    @admin.display(description="Results")
    def found(self, test: UptimeTest) -> str:
        lines = (
            f"{'ok  ' if result['ok'] else 'FAIL'}  {result['latency_ms']:8.1f} ms  "
            f"{result['service']}: {result['name']}  {result['detail']}"
            for result in test.results
        )
        return format_html("<pre>{}</pre>", "\n".join(lines)) if test.results else "-"
