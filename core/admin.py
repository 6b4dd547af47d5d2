"""Processes and leases in the console."""

from django.contrib import admin

from core.adminbase import RecordAdmin
from core.models import Lease, Process


@admin.register(Process)
class ProcessAdmin(RecordAdmin[Process]):
    """Which processes live, and when each reported last."""

    list_display = ["kind", "host", "pid", "version", "started_at", "beat_at"]
    list_filter = ["kind"]


@admin.register(Lease)
class LeaseAdmin(RecordAdmin[Lease]):
    """Which process runs which loop."""

    list_display = ["name", "holder", "token", "until"]
