"""Events in the console: alerts as they were raised, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from core.adminlists import BoundedPaginator, before, named
from core.adminpages import ReadAdmin
from core.components import Tab, when
from notifications.admin.contexts.events import event_context, told_badge
from notifications.admin.words import severity_badge, standing_badge
from notifications.models import Event

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

VIEWS: Final = (
    ("Everything", ""),
    ("Told", Event.Routing.ROUTED),
    ("Suppressed", Event.Routing.SUPPRESSED),
    ("Reached nobody", Event.Routing.NO_CHANNEL),
)


@admin.register(Event)
class EventAdmin(ReadAdmin[Event]):
    """Alerts as they were raised, and what became of each."""

    exports = True
    empty_text = "No alert yet. Alerts are raised when a check goes down or comes back."
    change_list_template = "admin/notifications/list.html"

    list_display = ["raised", "alert", "shown_severity", "shown_status", "service", "told"]
    list_filter = [
        "severity",
        "status",
        ("routing", named("what became of it")),
        before("created_at"),
        "created_at",
    ]
    search_fields = ["title", "service", "=dedup_key"]
    search_help_text = "Words of the alert or its service, or its whole key"
    ordering = ["-id"]
    paginator = BoundedPaginator

    def page_context(self, request: HttpRequest, obj: Event) -> dict[str, Any]:
        return event_context(request, obj)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        page = reverse("admin:notifications_event_changelist")
        chosen = request.GET.get("routing__exact", "")
        views = [
            Tab(label, f"{page}?routing__exact={value}" if value else page, value == chosen)
            for label, value in VIEWS
        ]
        return super().changelist_view(request, {"views": views, **(extra_context or {})})

    @admin.display(description="Raised", ordering="created_at")
    def raised(self, event: Event) -> str:
        return when(event.created_at)

    @admin.display(description="Alert", ordering="title")
    def alert(self, event: Event) -> str:
        return format_html('<span class="two-lines">{}</span>', event.title)

    @admin.display(description="Who is told", ordering="routing")
    def told(self, event: Event) -> str:
        return told_badge(event)

    @admin.display(description="Severity", ordering="severity")
    def shown_severity(self, event: Event) -> str:
        return severity_badge(event.severity, is_over=event.status == Event.Status.RESOLVED)

    @admin.display(description="Status", ordering="status")
    def shown_status(self, event: Event) -> str:
        return standing_badge(event)
