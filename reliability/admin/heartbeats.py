"""Heartbeats in the console: their rhythm, their address, what their jobs reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import PermissionDenied
from django.forms.widgets import Script
from django.http import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from accounts.actors import actor_of
from core.adminbase import RecordAdmin, SettingsAdmin
from core.adminlists import BeforeFilter, BoundedPaginator, named
from core.components import badge, when
from core.errors import DomainError
from reliability.admin.contexts.heartbeats import expected, milliseconds, ping_badge
from reliability.admin.forms import TagsField
from reliability.admin.pages import PagedList, seen
from reliability.models import Check, Heartbeat, HeartbeatPing, Service
from reliability.models.fields import validate_line
from reliability.selectors.incidents import SEE_ANSWERS
from reliability.services import catalogue, dependencies, rhythms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern


class HeartbeatForm(forms.ModelForm[Heartbeat]):
    """A heartbeat with what it needs of its check."""

    service = forms.ModelChoiceField(
        Service.objects.all(),
        widget=AutocompleteSelect(Check._meta.get_field("service"), admin.site),
    )
    name = forms.CharField(
        max_length=120, validators=[validate_line], help_text="Such as “nightly backup”."
    )
    enabled = forms.BooleanField(
        required=False, initial=True, help_text="One that is off says “unknown”."
    )
    parents = forms.ModelMultipleChoiceField(
        Check.objects.defer("headers").select_related("service"),
        label="Depends on",
        required=False,
        help_text=cast("str", Check._meta.get_field("parents").help_text),
        widget=AutocompleteSelectMultiple(Check._meta.get_field("parents"), admin.site),
    )
    tags = TagsField(required=False, help_text="With commas between them.")

    class Meta:
        model = Heartbeat
        fields: ClassVar = list(rhythms.HEARTBEAT_FIELDS)
        labels: ClassVar = {
            "schedule": "Reports",
            "period_seconds": "Every, in seconds",
            "grace_seconds": "May be late by, in seconds",
            "max_runtime_seconds": "A run takes at most, in seconds",
        }
        help_texts: ClassVar = {"grace_seconds": ""}

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **options)
        if self.instance.pk is not None:
            check = self.instance.check_of
            self.initial.update(
                name=check.name,
                enabled=check.enabled,
                service=check.service_id,
                parents=dependencies.parents_of(check),
                tags=check.tags,
            )
            # Its history belongs to its service.
            self.fields["service"].disabled = True

    def settings(self) -> dict[str, Any]:
        """Return what the form asks the catalogue to set."""
        data = self.cleaned_data
        return {
            "name": data["name"],
            "enabled": data["enabled"],
            "tags": data["tags"],
            "parents": [parent.pk for parent in data["parents"]],
            "heartbeat": {name: data[name] for name in rhythms.HEARTBEAT_FIELDS},
        }


class HeartbeatList(PagedList):
    """A list that leads to the page of the check."""

    def url_for_result(self, result: Any) -> str:  # noqa: ANN401  # Django's type is a model
        """Return where the first column leads."""
        return reverse("admin:reliability_check_page", args=[result.pk])


@admin.register(Heartbeat)
class HeartbeatAdmin(SettingsAdmin[Heartbeat]):
    """Every job that reports itself."""

    form = HeartbeatForm
    list_display = ["title", "says", "expected", "last_success", "took", "due"]
    list_filter = ["status", "schedule", "check_of__service__environment"]
    list_select_related = ["check_of__service", "check_of__state"]
    search_fields = ["check_of__name", "check_of__service__name"]
    search_help_text = "Name or service"
    empty_text = (
        "No heartbeat yet. A heartbeat has an address at which a job reports each run; when no "
        "report comes in time, people are told."
    )
    fieldsets = (
        (None, {"fields": ["service", "name", "enabled"]}),
        (
            "Rhythm",
            {
                "fields": [
                    "schedule",
                    "period_seconds",
                    ("cron", "time_zone"),
                    ("grace_seconds", "max_runtime_seconds"),
                ]
            },
        ),
        ("Among others", {"fields": ["parents", "tags"]}),
    )

    class Media:
        js: ClassVar = [Script("js/rhythm-form.js", defer=True)]

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = path("<int:pk>/rotate/", wrap(self.rotate), name="reliability_heartbeat_rotate")
        return [own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Heartbeat]:
        return super().get_queryset(request).defer("check_of__headers")

    def get_changelist(self, request: HttpRequest, **_: object) -> type[HeartbeatList]:
        return HeartbeatList

    # Whoever may add, change or delete a check may do so with this kind of it.
    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("reliability.add_check")

    def has_change_permission(self, request: HttpRequest, obj: Heartbeat | None = None) -> bool:
        return request.user.has_perm("reliability.change_check")

    def has_delete_permission(self, request: HttpRequest, obj: Heartbeat | None = None) -> bool:
        return request.user.has_perm("reliability.delete_check")

    def rotate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, then give a heartbeat a new address."""
        heartbeat = seen(self, request, pk)
        if not self.has_change_permission(request, heartbeat):
            raise PermissionDenied
        page = reverse("admin:reliability_check_page", args=[pk])
        if request.method == "POST":
            try:
                rhythms.rotate_token(actor=actor_of(request), check_id=pk)
            except DomainError as error:
                self.message_user(request, error.message, messages.ERROR)
            else:
                text = "The heartbeat has a new address. Put it into its job."
                self.message_user(request, text, messages.SUCCESS)
            return HttpResponseRedirect(page)
        context = {
            **self.admin_site.each_context(request),
            "title": f"New address for {heartbeat.check_of}",
            "effect": "The present address answers 404 from then on. Until its job reports at the "
            "new one, the heartbeat will be late.",
            "button": "Renew the address",
            "is_dangerous": True,
            "back": page,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/confirm_action.html", context)

    def save_service(
        self, request: HttpRequest, obj: Heartbeat, form: forms.ModelForm[Heartbeat], change: bool
    ) -> None:
        asked = cast("HeartbeatForm", form)
        settings, actor = asked.settings(), actor_of(request)
        if change:
            catalogue.update_check(actor=actor, check_id=obj.pk, **settings)
            return
        service = asked.cleaned_data["service"]
        created = catalogue.create_check(
            actor=actor, service_id=service.pk, kind=Check.Kind.HEARTBEAT, **settings
        )
        obj.check_of = created

    def response_post_save_add(self, request: HttpRequest, obj: Heartbeat) -> HttpResponseRedirect:
        """Go to its page, where the address stands."""
        return HttpResponseRedirect(reverse("admin:reliability_check_page", args=[obj.pk]))

    def response_post_save_change(
        self, request: HttpRequest, obj: Heartbeat
    ) -> HttpResponseRedirect:
        """Go back to its page."""
        return self.response_post_save_add(request, obj)

    def delete_service(self, request: HttpRequest, obj: Heartbeat) -> None:
        catalogue.delete_check(actor=actor_of(request), check_id=obj.pk)

    def get_deleted_objects(
        self, objs: Iterable[Heartbeat], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Leave out the reports, which may be many."""
        listed = [str(heartbeat.check_of) for heartbeat in objs]
        return [*listed, ["with all reports and history"]], {"heartbeats": len(listed)}, set(), []

    @admin.display(description="Heartbeat", ordering="check_of__service__name")
    def title(self, heartbeat: Heartbeat) -> str:
        return str(heartbeat.check_of)

    @admin.display(description="State", ordering="status")
    def says(self, heartbeat: Heartbeat) -> str:
        check = heartbeat.check_of
        return badge(check.says.state if check.enabled else "off")

    @admin.display(description="Expected", ordering="period_seconds")
    def expected(self, heartbeat: Heartbeat) -> str:
        return expected(heartbeat)

    @admin.display(description="Last success", ordering="last_success_at")
    def last_success(self, heartbeat: Heartbeat) -> str:
        return when(heartbeat.last_success_at, "never")

    @admin.display(description="Last run took", ordering="last_duration_ms")
    def took(self, heartbeat: Heartbeat) -> str:
        return format_html(
            '<span class="numeric">{}</span>', milliseconds(heartbeat.last_duration_ms)
        )

    @admin.display(description="Late from", ordering="due_at")
    def due(self, heartbeat: Heartbeat) -> str:
        return when(heartbeat.due_at)


@admin.register(HeartbeatPing)
class HeartbeatPingAdmin(RecordAdmin[HeartbeatPing]):
    """What jobs reported, newest first."""

    list_display = ["shown_check", "reported_at", "report", "took", "run_id"]
    list_filter = [BeforeFilter, ("kind", named("report"))]
    list_select_related = ["heartbeat__check_of__service"]
    paginator = BoundedPaginator
    search_fields = ["heartbeat__check_of__service__name", "heartbeat__check_of__name"]
    search_help_text = "Service or name of the heartbeat"
    readonly_fields = ["shown_check", "reported_at", "report", "took", "wrote"]
    empty_text = "No report yet. Jobs report at the address of their heartbeat."

    def get_fields(self, request: HttpRequest, obj: HeartbeatPing | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        shown = (("shown_check", "reported_at"), ("report", "took", "run_id"))
        # Whoever may know the address must not read what others' jobs wrote; operators may.
        return (*shown, "address", "wrote") if request.user.has_perm(SEE_ANSWERS) else shown

    def get_queryset(self, request: HttpRequest) -> QuerySet[HeartbeatPing]:
        return super().get_queryset(request).defer("heartbeat__check_of__headers")

    @admin.display(description="Heartbeat", ordering="heartbeat__check_of__service__name")
    def shown_check(self, ping: HeartbeatPing) -> str:
        return str(ping.heartbeat.check_of)

    @admin.display(description="Time", ordering="at")
    def reported_at(self, ping: HeartbeatPing) -> str:
        return when(ping.at)

    @admin.display(description="Report", ordering="kind")
    def report(self, ping: HeartbeatPing) -> str:
        return ping_badge(ping)

    @admin.display(description="Took", ordering="duration_ms")
    def took(self, ping: HeartbeatPing) -> str:
        return format_html('<span class="numeric">{}</span>', milliseconds(ping.duration_ms))

    @admin.display(description="What it wrote")
    def wrote(self, ping: HeartbeatPing) -> str:
        return format_html("<pre>{}</pre>", ping.body) if ping.body else "-"
