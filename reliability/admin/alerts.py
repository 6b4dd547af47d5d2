"""Alerts in the console: what rules found, told or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from core.adminbase import RecordAdmin
from core.adminlists import BoundedPaginator, before
from core.components import badge, when
from reliability.admin.contexts.alerts import lasted
from reliability.engine.rules import RULES
from reliability.models import Alert

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


@admin.register(Alert)
class AlertAdmin(RecordAdmin[Alert]):
    """Every alert, newest first; those that were kept back say why."""

    exports = True
    list_display = ["title", "status", "weight", "began", "lasted", "suppressed_by", "incident"]
    list_filter = ["state", "severity", "rule", before("starts_at"), "starts_at"]
    list_select_related = ["incident"]
    paginator = BoundedPaginator
    search_fields = ["title", "detail"]
    search_help_text = "Service, check or detail"
    readonly_fields = [
        "shown_rule",
        "status",
        "weight",
        "shown_incident",
        "began",
        "seen_at",
        "ended",
        "lasted",
        "shown_labels",
    ]
    empty_text = "No alert yet. One is raised when a check goes down or a budget burns."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        found = super().get_queryset(request)
        return found.select_related("incident", "service", "check_of__service", "slo").defer(
            "check_of__headers"
        )

    def get_fields(self, request: HttpRequest, obj: Alert | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        return (
            ("title", "status", "weight"),
            ("shown_rule", "shown_incident"),
            "detail",
            "suppressed_by",
            ("service", "check_of", "slo"),
            ("began", "seen_at", "ended", "lasted", "count"),
            "shown_labels",
        )

    @admin.display(description="Rule", ordering="rule")
    def shown_rule(self, alert: Alert) -> str:
        rule = RULES.get(alert.rule)
        return f"{alert.rule}: {rule.words}" if rule else alert.rule

    @admin.display(description="State", ordering="state")
    def status(self, alert: Alert) -> str:
        return badge(alert.state)

    @admin.display(description="Severity", ordering="severity")
    def weight(self, alert: Alert) -> str:
        # Red is kept for what is wrong now.
        if alert.state == Alert.State.RESOLVED:
            return alert.get_severity_display()
        return badge(alert.severity)

    @admin.display(description="Incident")
    def shown_incident(self, alert: Alert) -> str:
        if alert.incident is None:
            return "none: nobody was told" if alert.suppressed_by else "none"
        page = reverse("admin:reliability_incident_change", args=[alert.incident.pk])
        return format_html('<a href="{}">{}</a>', page, alert.incident.title)

    @admin.display(description="Began", ordering="starts_at")
    def began(self, alert: Alert) -> str:
        return when(alert.starts_at)

    @admin.display(description="Last seen")
    def seen_at(self, alert: Alert) -> str:
        return when(alert.last_seen_at)

    @admin.display(description="Ended", ordering="ends_at")
    def ended(self, alert: Alert) -> str:
        return when(alert.ends_at)

    @admin.display(description="Lasted")
    def lasted(self, alert: Alert) -> str:
        return format_html('<span class="numeric">{}</span>', lasted(alert))

    @admin.display(description="Labels")
    def shown_labels(self, alert: Alert) -> str:
        return ", ".join(f"{name}={value}" for name, value in sorted(alert.labels.items())) or "-"
