"""Maintenance in the console: the plans, and a calendar of what comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Subquery
from django.forms.widgets import Script
from django.http import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.actors import actor_of
from core.adminbase import SettingsAdmin, ask_to_confirm
from core.components import badge, when
from core.errors import DomainError
from reliability.admin.contexts.maintenance import calendar
from reliability.admin.maintenance_form import MaintenanceForm
from reliability.admin.pages import seen, show
from reliability.models import MaintenanceOccurrence, MaintenanceWindow
from reliability.selectors import maintenance as selectors
from reliability.selectors.bars import span
from reliability.services import maintenance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django import forms
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

_CALENDAR_DAYS = 60
_CANCEL = "Cancel what is still to come"
_EFFECT = (
    "What is still to come falls away, and what holds now ends: alerts that it held back are told "
    "if they still hold. The past stays as it was."
)


@admin.register(MaintenanceWindow)
class MaintenanceAdmin(SettingsAdmin[MaintenanceWindow]):
    """Declares, changes and cancels maintenance."""

    form = MaintenanceForm
    list_display = ["title", "stands", "what", "next_time", "lasts", "declared_by"]
    list_filter = ["repeat", "is_public"]
    search_fields = ["title", "services__name"]
    search_help_text = "Title or service"
    autocomplete_fields = ["services"]
    actions = ["cancel"]
    empty_text = (
        "No maintenance is planned. While some holds, nobody is alerted about its services and no "
        "error budget burns."
    )
    fieldsets = (
        (None, {"fields": ["title", "services", "description", "is_public"]}),
        (
            "When",
            {
                "fields": [
                    ("starts_at", "time_zone", "duration_minutes"),
                    ("repeat", "every"),
                    "on_weekdays",
                    ("on_month_days", "cron"),
                    ("until", "count"),
                    "reason",
                ]
            },
        ),
    )

    class Media:
        css: ClassVar = {"all": ["css/maintenance.css"]}
        js: ClassVar = [Script("js/rhythm-form.js", defer=True)]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.upcoming)
        end = self.admin_site.admin_view(self.cancel_one)
        own = [
            path("upcoming/", view, name="reliability_maintenancewindow_upcoming"),
            path("<int:pk>/cancel/", end, name="reliability_maintenancewindow_cancel"),
        ]
        return [*own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[MaintenanceWindow]:
        coming = MaintenanceOccurrence.objects.filter(
            window=OuterRef("pk"), ends_at__gt=timezone.now()
        ).order_by("starts_at")
        return (
            super()
            .get_queryset(request)
            .annotate(coming_at=Subquery(coming.values("starts_at")[:1]))
        )

    def has_change_permission(
        self, request: HttpRequest, obj: MaintenanceWindow | None = None
    ) -> bool:
        is_over = obj is not None and obj.cancelled_at is not None
        return not is_over and super().has_change_permission(request, obj)

    def upcoming(self, request: HttpRequest) -> HttpResponse:
        """Show what holds now and what comes, by day."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = selectors.upcoming(days=_CALENDAR_DAYS)
        return show(
            self,
            request,
            MaintenanceWindow(),
            title="Upcoming maintenance",
            template="upcoming",
            days=calendar(found),
            most=selectors.SHOWN if len(found) == selectors.SHOWN else 0,
            may_add=self.has_add_permission(request),
        )

    def cancel_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, then cancel what is still to come of one maintenance."""
        window = seen(self, request, pk)
        if not self.has_change_permission(request, window):
            raise PermissionDenied
        if request.method == "POST":
            try:
                maintenance.cancel(actor=actor_of(request), window_id=pk)
            except DomainError as error:
                self.message_user(request, error.message, messages.ERROR)
            else:
                self.message_user(request, f"Cancelled: {window}.", messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:reliability_maintenancewindow_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Cancel {window}",
            "effect": _EFFECT,
            "button": _CANCEL,
            "leave": "Back",
            "is_dangerous": True,
            "back": reverse("admin:reliability_maintenancewindow_change", args=[pk]),
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/confirm_action.html", context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: MaintenanceWindow | None = None,
    ) -> HttpResponse:
        form = context["adminform"].form
        context["times"] = getattr(form, "times", None)
        if context["times"] is not None:
            context["zone"] = form.cleaned_data["time_zone"]
        if obj is not None and context["times"] is None:
            context["zone"] = obj.time_zone
            context["planned"] = list(
                obj.occurrences.filter(ends_at__gt=timezone.now()).order_by("starts_at")[:10]
            )
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_service(
        self,
        request: HttpRequest,
        obj: MaintenanceWindow,
        form: forms.ModelForm[MaintenanceWindow],
        change: bool,
    ) -> None:
        settings = cast("MaintenanceForm", form).settings()
        if change:
            maintenance.change(actor=actor_of(request), window_id=obj.pk, **settings)
            return
        obj.pk = maintenance.declare(actor=actor_of(request), **settings).pk

    def save_related(self, request: HttpRequest, *_: object) -> None:
        """Leave the services alone: ours has set them, with a record."""

    def delete_service(self, request: HttpRequest, obj: MaintenanceWindow) -> None:
        maintenance.delete(actor=actor_of(request), window_id=obj.pk)

    def get_deleted_objects(
        self, objs: Iterable[MaintenanceWindow], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Leave out the times, which go along."""
        listed = [str(window) for window in objs]
        return [*listed], {"maintenance": len(listed)}, set(), []

    @admin.action(description=_CANCEL, permissions=["change"])
    def cancel(
        self, request: HttpRequest, queryset: QuerySet[MaintenanceWindow]
    ) -> HttpResponse | None:
        wanted = queryset.filter(cancelled_at=None)
        asked = ask_to_confirm(
            self,
            request,
            wanted,
            action="cancel",
            title="Cancel maintenance",
            effect=_EFFECT,
            is_dangerous=True,
        )
        if asked is not None:
            return asked
        keys = list(wanted.values_list("pk", flat=True))
        for key in keys:
            maintenance.cancel(actor=actor_of(request), window_id=key)
        self.message_user(request, f"Cancelled: {len(keys)}.")
        return None

    @admin.display(description="State")
    def stands(self, window: MaintenanceWindow) -> str:
        coming: Any = getattr(window, "coming_at", None)
        if window.cancelled_at is not None:
            return badge("cancelled", "Cancelled")
        if coming is None:
            return badge("over", "Over")
        is_now = coming <= timezone.now()
        return badge("maintenance", "Now", "warn") if is_now else badge("p", "Planned", "info")

    @admin.display(description="Repeats", ordering="repeat")
    def what(self, window: MaintenanceWindow) -> str:
        if window.repeat == MaintenanceWindow.Repeat.CRON:
            return f"{window.cron} ({window.time_zone})"
        every = f", every {window.every}" if window.every > 1 else ""
        return f"{window.get_repeat_display()}{every}"

    @admin.display(description="Next time")
    def next_time(self, window: MaintenanceWindow) -> str:
        return when(getattr(window, "coming_at", None))

    @admin.display(description="Lasts", ordering="duration_seconds")
    def lasts(self, window: MaintenanceWindow) -> str:
        return format_html('<span class="numeric">{}</span>', span(window.duration_seconds * 10**6))
