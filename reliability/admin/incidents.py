"""Incidents in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.utils.html import format_html
from django.utils.timesince import timesince

from accounts.actors import actor_of
from core.adminbase import RecordAdmin, ask_to_confirm
from core.components import badge
from core.errors import DomainError
from reliability.admin.display import answer_field
from reliability.models import Incident, IncidentEvent
from reliability.services import incidents

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.template.response import TemplateResponse


class TimelineInline(admin.TabularInline[IncidentEvent, Incident]):
    """What happened, in order."""

    model = IncidentEvent
    fields = readonly_fields = ("at", "kind", "actor_name", "text")
    extra = 0
    can_delete = False
    verbose_name_plural = "timeline"

    def has_add_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        return False


@admin.register(Incident)
class IncidentAdmin(RecordAdmin[Incident]):
    """What was or is wrong, newest first."""

    list_display = ["title", "status", "severity", "started_at", "lasted", "failure", "owner"]
    list_filter = ["state", "severity", "service"]
    list_select_related = ["owner"]
    search_fields = ["title", "detail"]
    readonly_fields = ["status", "answered"]
    inlines = [TimelineInline]
    actions = ["acknowledge", "resolve"]
    empty_text = "No incident. One is opened when a check goes down, and closed when it is up."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        found = super().get_queryset(request)
        return found.select_related("owner", "check_of__service").defer("check_of__headers")

    def get_fields(self, request: HttpRequest, obj: Incident | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        return (
            "title",
            ("status", "severity", "owner"),
            ("service_name", "check_of"),
            ("failure", "detail"),
            ("started_at", "opened_at", "acknowledged_at", "resolved_at"),
            *answer_field(request),
        )

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("reliability.acknowledge_incident")

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("reliability.change_incident")

    @admin.display(description="State", ordering="state")
    def status(self, incident: Incident) -> str:
        return badge(incident.state)

    @admin.display(description="Lasted")
    def lasted(self, incident: Incident) -> str:
        return timesince(incident.started_at, incident.resolved_at, depth=2)

    @admin.display(description="What it answered")
    def answered(self, incident: Incident) -> str:
        return format_html("<pre>{}</pre>", incident.excerpt) if incident.excerpt else "-"

    @admin.action(description="Acknowledge: I take care", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        self._each(request, queryset, "acknowledged", incidents.acknowledge)

    @admin.action(description="Resolve by hand", permissions=["resolve"])
    def resolve(
        self, request: HttpRequest, queryset: QuerySet[Incident]
    ) -> TemplateResponse | None:
        asked = ask_to_confirm(
            self,
            request,
            queryset,
            action="resolve",
            title="Resolve these incidents?",
            effect="People are told that it is over. A check that is still down opens no new "
            "incident until it was up in between.",
        )
        if asked is None:
            self._each(
                request, queryset, "resolved", incidents.resolve, reason="Resolved in the console."
            )
        return asked

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Incident],
        done: str,
        service: Any,  # noqa: ANN401  # one of two services with different details
        **details: str,
    ) -> None:
        count = 0
        for incident in queryset:
            try:
                service(actor=actor_of(request), incident_id=incident.pk, **details)
            except DomainError as error:
                self.message_user(request, f"{incident.title}: {error.message}", messages.WARNING)
            else:
                count += 1
        if count:
            self.message_user(request, f"{count} {done}.", messages.SUCCESS)
