"""Incidents in the console."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.urls import path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from core.adminbase import ask_to_confirm
from core.adminlists import BoundedPaginator, before
from core.components import badge, when
from core.errors import DomainError
from reliability.admin.contexts.incidents import incident_context
from reliability.admin.contexts.shared import lasted
from reliability.admin.pages import ReadAdmin, act, seen, show
from reliability.models import Incident
from reliability.services import incidents

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.template.response import TemplateResponse
    from django.urls import URLPattern


_CARE: Final = "reliability.acknowledge_incident"
_RESOLVE: Final = "reliability.change_incident"


@admin.register(Incident)
class IncidentAdmin(ReadAdmin[Incident]):
    """What was or is wrong, newest first."""

    exports = True
    list_display = ["title", "status", "weight", "began", "lasted", "detail", "owner"]
    list_filter = ["state", "severity", before("started_at"), "started_at"]
    list_select_related = ["owner"]
    search_fields = ["title", "detail"]
    search_help_text = "Service, check or detail"
    paginator = BoundedPaginator
    actions = ["acknowledge", "resolve"]

    class Media:
        css: ClassVar = {"all": ["css/chart.css"]}

    empty_text = "No incident. One is opened when a check goes down, and closed when it is up."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        found = super().get_queryset(request)
        return found.select_related("owner", "check_of__service").defer("check_of__headers")

    def get_urls(self) -> list[URLPattern]:
        """Add what may be done about one incident."""
        wrap = self.admin_site.admin_view
        one = "<int:object_id>"
        own = [
            path(
                f"{one}/acknowledge/",
                wrap(require_POST(self.acknowledge_one)),
                name="reliability_incident_acknowledge",
            ),
            path(f"{one}/resolve/", wrap(self.resolve_one), name="reliability_incident_resolve"),
            path(
                f"{one}/note/", wrap(require_POST(self.note_one)), name="reliability_incident_note"
            ),
        ]
        return [*own, *super().get_urls()]

    def page_context(self, request: HttpRequest, obj: Incident) -> dict[str, Any]:
        return {"title": obj.title, **incident_context(request, obj)}

    def acknowledge_one(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Say that somebody takes care."""
        work = partial(incidents.acknowledge, actor=actor_of(request), incident_id=object_id)
        return act(self, request, _CARE, _page(object_id), "You take care of it.", work)

    def resolve_one(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask why an incident ends by hand, and end it."""
        if request.method == "POST":
            reason = request.POST.get("reason", "")
            work = partial(
                incidents.resolve, actor=actor_of(request), incident_id=object_id, reason=reason
            )
            return act(self, request, _RESOLVE, _page(object_id), "Resolved.", work)
        if not self.has_resolve_permission(request):
            raise PermissionDenied
        incident = seen(self, request, object_id)
        title = "Resolve this incident?"
        return show(self, request, incident, title=title, template="resolve")

    def note_one(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Add a note to the timeline."""
        text = request.POST.get("text", "")
        work = partial(
            incidents.add_note, actor=actor_of(request), incident_id=object_id, text=text
        )
        return act(self, request, _CARE, _page(object_id), "Noted.", work)

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(_CARE)

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(_RESOLVE)

    @admin.display(description="State", ordering="state")
    def status(self, incident: Incident) -> str:
        return badge(incident.state)

    @admin.display(description="Severity", ordering="severity")
    def weight(self, incident: Incident) -> str:
        # Red is kept for what is wrong now.
        if incident.state == Incident.State.RESOLVED:
            return incident.get_severity_display()
        return badge(incident.severity)

    @admin.display(description="Began", ordering="started_at")
    def began(self, incident: Incident) -> str:
        return when(incident.started_at)

    @admin.display(description="Lasted")
    def lasted(self, incident: Incident) -> str:
        return format_html('<span class="numeric">{}</span>', lasted(incident))

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


def _page(incident_id: int) -> str:
    return reverse("admin:reliability_incident_change", args=[incident_id])
