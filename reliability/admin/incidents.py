"""Incidents in the console."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html

from accounts.actors import actor_of
from core.adminbase import ask_to_confirm
from core.adminlists import BoundedPaginator, before
from core.components import badge, when
from core.errors import DomainError
from core.pagebase import told
from reliability.admin.contexts.incidents import (
    edit_context,
    incident_context,
    post_mortem_context,
)
from reliability.admin.contexts.shared import so_far
from reliability.admin.pages import ReadAdmin, act, seen, show
from reliability.admin.steps import CARE, CHANGE, STEPS, Step
from reliability.models import Incident
from reliability.services import incidents

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.template.response import TemplateResponse
    from django.urls import URLPattern

_OVER: Final = frozenset({Incident.State.RESOLVED, Incident.State.CLOSED})


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
                f"{one}/{step.name}/",
                wrap(partial(self.step_one, step=step)),
                name=f"reliability_incident_{step.name}",
            )
            for step in STEPS
        ]
        own += [
            path(f"{one}/edit/", wrap(self.edit_one), name="reliability_incident_edit"),
            path(
                f"{one}/post-mortem/",
                wrap(self.post_mortem_one),
                name="reliability_incident_post_mortem",
            ),
        ]
        return [*own, *super().get_urls()]

    def page_context(self, request: HttpRequest, obj: Incident) -> dict[str, Any]:
        return {"title": obj.title, **incident_context(request, obj)}

    def step_one(self, request: HttpRequest, object_id: int, step: Step) -> HttpResponse:
        """Take a step, or ask what it needs first."""
        if request.method == "POST":
            given = {step.asks: request.POST.get(step.asks, "")} if step.asks else {}
            work = partial(step.service, actor=actor_of(request), incident_id=object_id, **given)
            return act(self, request, step.permission, _page(object_id), step.done, work)
        if not request.user.has_perm(step.permission):
            raise PermissionDenied
        if request.method != "GET" or not step.has_page:
            return HttpResponseNotAllowed(["POST"])
        incident = seen(self, request, object_id)
        url = reverse(f"admin:reliability_incident_{step.name}", args=[object_id])
        return show(self, request, incident, title=step.title, template="step", step=step, url=url)

    def edit_one(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Set its severity, its owner and whether strangers see it."""
        given = {
            "severity": request.POST.get("severity", ""),
            "owner": request.POST.get("owner", "").strip() or None,
            "is_public": request.POST.get("is_public") == "on",
        }
        return self._set(request, object_id, "edit", given, edit_context)

    def post_mortem_one(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Write down what was learned."""
        given = {"post_mortem": request.POST.get("post_mortem", "")}
        return self._set(request, object_id, "post_mortem", given, post_mortem_context)

    def _set(
        self,
        request: HttpRequest,
        object_id: int,
        template: str,
        given: dict[str, Any],
        context: Callable[[Incident], dict[str, Any]],
    ) -> HttpResponse:
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied
        incident = seen(self, request, object_id)
        shown = context(incident)
        if request.method == "POST":
            try:
                incidents.update(actor=actor_of(request), incident_id=object_id, **given)
            except DomainError as error:
                # What was typed is not lost.
                shown |= {**given, "mistake": told(error)}
            else:
                self.message_user(request, "Saved.", messages.SUCCESS)
                return HttpResponseRedirect(_page(object_id))
        return show(self, request, incident, template=template, **shown)

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(CARE)

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(CHANGE)

    @admin.display(description="State", ordering="state")
    def status(self, incident: Incident) -> str:
        return badge(incident.state)

    @admin.display(description="Severity", ordering="severity")
    def weight(self, incident: Incident) -> str:
        # Red is kept for what is wrong now.
        if incident.state in _OVER:
            return incident.get_severity_display()
        return badge(incident.severity)

    @admin.display(description="Began", ordering="started_at")
    def began(self, incident: Incident) -> str:
        return when(incident.started_at)

    @admin.display(description="Lasted")
    def lasted(self, incident: Incident) -> str:
        return format_html('<span class="numeric">{}</span>', so_far(incident))

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
