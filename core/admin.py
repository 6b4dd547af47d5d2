"""Processes and leases in the console."""

from django.contrib import admin

from core.adminbase import RecordAdmin
from core.components import when
from core.models import Lease, Process


@admin.register(Process)
class ProcessAdmin(RecordAdmin[Process]):
    """Which processes live, and when each reported last."""

    list_display = ["kind", "host", "number", "version", "started", "heard"]
    list_filter = ["kind"]
    fields = [("kind", "version"), ("host", "number"), ("started", "heard"), "detail"]
    readonly_fields = ["number", "started", "heard"]
    empty_text = "No process has reported yet. manage.py up starts them."

    @admin.display(description="Process id", ordering="pid")
    def number(self, process: Process) -> str:
        return str(process.pid)

    @admin.display(description="Started", ordering="started_at")
    def started(self, process: Process) -> str:
        return when(process.started_at)

    @admin.display(description="Heard of last", ordering="beat_at")
    def heard(self, process: Process) -> str:
        return when(process.beat_at)


@admin.register(Lease)
class LeaseAdmin(RecordAdmin[Lease]):
    """Which process runs which loop."""

    list_display = ["loop", "holder", "held_until"]
    fields = ["loop", "holder", "held_until", "takeovers"]
    readonly_fields = ["loop", "held_until", "takeovers"]
    empty_text = "No loop runs yet. manage.py up starts them."

    @admin.display(description="Loop", ordering="name")
    def loop(self, lease: Lease) -> str:
        return lease.name

    @admin.display(description="Held until", ordering="until")
    def held_until(self, lease: Lease) -> str:
        return when(lease.until)

    @admin.display(description="Takeovers so far")
    def takeovers(self, lease: Lease) -> str:
        return f"{lease.token:,}"
