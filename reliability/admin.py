"""Services, checks and incidents in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from django import forms
from django.contrib import admin, messages
from django.urls import reverse
from django.utils.html import format_html
from django.utils.timesince import timesince

from accounts.actors import actor_of
from core.adminbase import RecordAdmin, SettingsAdmin, ask_to_confirm
from core.errors import DomainError
from reliability import selectors
from reliability.models import (
    Check,
    Incident,
    IncidentEvent,
    Sample,
    Service,
    StateSegment,
    UptimeTest,
)
from reliability.models.fields import validate_headers
from reliability.services import catalogue, incidents, uptime_tests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet
    from django.forms.models import BaseModelFormSet
    from django.http import HttpRequest
    from django.template.response import TemplateResponse

_TONES: Final = {
    "up": "ok",
    "ok": "ok",
    "resolved": "ok",
    "done": "ok",
    "degraded": "warn",
    "suspect": "warn",
    "recovering": "warn",
    "acknowledged": "warn",
    "warning": "warn",
    "down": "bad",
    "triggered": "bad",
    "critical": "bad",
    "failed": "bad",
}


def badge(value: str, text: str = "") -> str:
    """Return a coloured label; the text alone must say everything."""
    tone = _TONES.get(value, "idle")
    return format_html('<span class="badge badge-{}">{}</span>', tone, text or value.capitalize())


class CheckForm(forms.ModelForm[Check]):
    """A check; its headers can be replaced or removed, never read."""

    new_headers = forms.JSONField(
        label="Headers",
        required=False,
        validators=[validate_headers],
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": '{"Authorization": "Bearer …"}'}),
        help_text="Sent with each request; an object of names and values. Stored encrypted and "
        "never shown again. Empty keeps what is stored.",
    )
    remove_headers = forms.BooleanField(required=False, help_text="Send no own headers any more.")

    class Meta:
        model = Check
        fields: ClassVar = ["service", *catalogue.CHECK_FIELDS]

    def settings(self) -> dict[str, Any]:
        """Return what the form asks the catalogue to set."""
        data = dict(self.cleaned_data)
        replaced, removed = data.pop("new_headers", None), data.pop("remove_headers", False)
        # An inline shows some fields only, and brings the keys of its formset.
        fields: dict[str, Any] = {
            name: data[name] for name in catalogue.CHECK_FIELDS if name in data
        }
        if replaced or removed:
            fields["headers"] = replaced or None
        return fields


_CHECK_FIELDSETS: Final = (
    (
        "Request",
        {
            "fields": [
                "method",
                ("follow_redirects", "tls_verify"),
                "new_headers",
                "remove_headers",
            ],
            "classes": ["collapse"],
        },
    ),
    (
        "Rhythm",
        {
            "fields": [
                ("interval_seconds", "timeout_seconds", "retry_interval_seconds"),
                ("strikes_down", "strikes_up"),
            ]
        },
    ),
    ("What counts as good", {"fields": ["accept", "body_contains", "degraded_ms"]}),
)


class CheckInline(admin.StackedInline[Check, Service]):
    """The checks of a service on its page."""

    model = Check
    form = CheckForm
    fields = ["url", "name", "interval_seconds", "timeout_seconds", "strikes_down", "enabled"]
    verbose_name_plural = "checks: fill in a URL to have it watched"

    def get_extra(self, request: HttpRequest, obj: Service | None = None, **_: object) -> int:
        return 1 if obj is None else 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Check]:
        return super().get_queryset(request).select_related("service").defer("headers")


@admin.register(Service)
class ServiceAdmin(SettingsAdmin[Service]):
    """The catalogue."""

    list_display = ["name", "state", "tier", "environment", "owner", "link"]
    list_filter = ["environment", "tier"]
    search_fields = ["name", "owner", "url"]
    search_help_text = "Name, owner or URL"
    fields = ["name", "url", ("tier", "environment"), "owner"]
    inlines = [CheckInline]
    empty_text = (
        "No service yet. Add one with the URL of a check, and it is watched within seconds."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Service]:
        return selectors.services().order_by(*self.get_ordering(request) or ["name"])

    @admin.display(description="State")
    def state(self, service: Service) -> str:
        return badge(selectors.worst_state(service))

    @admin.display(description="URL", ordering="url")
    def link(self, service: Service) -> str:
        if not service.url:
            return ""
        return format_html('<a href="{0}" rel="noopener noreferrer">{0}</a>', service.url)

    def save_service(
        self, request: HttpRequest, obj: Service, form: forms.ModelForm[Service], change: bool
    ) -> None:
        if change:
            catalogue.update_service(
                actor=actor_of(request), service_id=obj.pk, **form.cleaned_data
            )
            return
        created = catalogue.create_service(actor=actor_of(request), **form.cleaned_data)
        obj.pk = created.pk

    def get_deleted_objects(
        self, objs: Iterable[Service], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Name the checks that go along; their results may be millions and are not listed."""
        checks = list(Check.objects.filter(service__in=objs).select_related("service"))
        listed = [str(service) for service in objs]
        needed = {"check"} if checks and not _may_delete_checks(request) else set()
        counts = {"services": len(listed), "checks": len(checks)}
        return [*listed, [str(check) for check in checks]], counts, needed, []

    def delete_service(self, request: HttpRequest, obj: Service) -> None:
        catalogue.delete_service(actor=actor_of(request), service_id=obj.pk)

    def save_formset(
        self,
        request: HttpRequest,
        form: forms.ModelForm[Service],
        formset: BaseModelFormSet[Check, CheckForm],
        change: bool,
    ) -> None:
        """Let the catalogue write the checks; Django's change message reads the three lists."""
        actor = actor_of(request)
        formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []
        for check_form in formset.forms:
            check = check_form.instance
            if check_form in formset.deleted_forms:
                if check.pk:
                    formset.deleted_objects.append(check)
                    catalogue.delete_check(actor=actor, check_id=check.pk)
            elif not check_form.has_changed():
                continue
            elif check.pk:
                catalogue.update_check(actor=actor, check_id=check.pk, **check_form.settings())
                formset.changed_objects.append((check, check_form.changed_data))
            else:
                service_id = form.instance.pk
                created = catalogue.create_check(
                    actor=actor, service_id=service_id, **check_form.settings()
                )
                formset.new_objects.append(created)


@admin.register(Check)
class CheckAdmin(SettingsAdmin[Check]):
    """Every check with what it says now."""

    form = CheckForm
    list_display = ["title", "says", "since", "answer", "latency", "interval", "enabled"]
    list_filter = ["state__state", "enabled", "service__environment", "service__tier"]
    list_select_related = ["service", "state"]
    search_fields = ["name", "url", "service__name"]
    search_help_text = "Name, URL or service"
    autocomplete_fields = ["service"]
    readonly_fields = ["says", "since", "answer"]
    actions = ["run_now"]
    empty_text = "No check yet. A check asks a URL again and again and tells when it fails."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Check]:
        return super().get_queryset(request).defer("headers")

    def get_fieldsets(self, request: HttpRequest, obj: Check | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        now = [("Now", {"fields": [("says", "since"), "answer"]})] if obj is not None else []
        target = (None, {"fields": ["service", "name", "url", "enabled"]})
        return [*now, target, *_CHECK_FIELDSETS]

    def get_readonly_fields(self, request: HttpRequest, obj: Check | None = None) -> list[str]:
        return [*self.readonly_fields, "service"] if obj is not None else []

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("reliability.run_uptimetest")

    @admin.display(description="Check", ordering="service__name")
    def title(self, check: Check) -> str:
        return str(check)

    @admin.display(description="State", ordering="state__state")
    def says(self, check: Check) -> str:
        return badge(check.state.state if check.enabled else "off")

    @admin.display(description="Since")
    def since(self, check: Check) -> str:
        return f"{timesince(check.state.since, depth=1)} ago"

    @admin.display(description="Last answer")
    def answer(self, check: Check) -> str:
        state = check.state
        if state.last_at is None:
            return "none yet"
        return state.last_detail or f"HTTP {state.last_code}"

    @admin.display(description="Latency")
    def latency(self, check: Check) -> str:
        return "" if check.state.last_ms is None else f"{check.state.last_ms:.0f} ms"

    @admin.display(description="Interval", ordering="interval_seconds")
    def interval(self, check: Check) -> str:
        return f"{check.interval_seconds} s"

    @admin.action(description="Run now (moves no strikes)", permissions=["run"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[Check]) -> None:
        test = uptime_tests.request(
            actor=actor_of(request), check_ids=list(queryset.values_list("pk", flat=True))
        )
        page = reverse("admin:reliability_uptimetest_change", args=[test.pk])
        told = format_html('Asked for. <a href="{}">Results</a> come within seconds.', page)
        self.message_user(request, told, messages.SUCCESS)

    def save_service(
        self, request: HttpRequest, obj: Check, form: forms.ModelForm[Check], change: bool
    ) -> None:
        settings = cast("CheckForm", form).settings()
        if change:
            catalogue.update_check(actor=actor_of(request), check_id=obj.pk, **settings)
            return
        service = form.cleaned_data["service"]
        created = catalogue.create_check(actor=actor_of(request), service_id=service.pk, **settings)
        obj.pk = created.pk

    def get_deleted_objects(
        self, objs: Iterable[Check], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Leave out the results, which may be millions."""
        listed = [str(check) for check in objs]
        return [*listed, ["with all results and history"]], {"checks": len(listed)}, set(), []

    def delete_service(self, request: HttpRequest, obj: Check) -> None:
        catalogue.delete_check(actor=actor_of(request), check_id=obj.pk)


def _answer_field(request: HttpRequest) -> tuple[str, ...]:
    return ("answered",) if request.user.has_perm(selectors.SEE_ANSWERS) else ()


def _may_delete_checks(request: HttpRequest) -> bool:
    return request.user.has_perm("reliability.delete_check")


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
            *_answer_field(request),
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


@admin.register(Sample)
class SampleAdmin(RecordAdmin[Sample]):
    """Every result, newest first."""

    list_display = ["at", "check_of", "result", "answer", "latency", "manual"]
    list_filter = ["ok", "manual", "failure"]
    list_select_related = ["check_of__service"]
    search_fields = ["check_of__service__name", "check_of__name"]
    search_help_text = "Service or name of the check"
    readonly_fields = ["result", "answered"]
    empty_text = "No result yet. Results come with the first probe of a check."

    def get_fields(self, request: HttpRequest, obj: Sample | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        return (
            ("check_of", "at"),
            ("result", "manual"),
            ("status_code", "failure", "detail"),
            ("latency_ms", "dns_ms", "connect_ms", "tls_ms", "first_byte_ms"),
            *_answer_field(request),
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Sample]:
        return super().get_queryset(request).defer("check_of__headers")

    @admin.display(description="Result")
    def result(self, sample: Sample) -> str:
        return badge("ok" if sample.ok else "failed", "OK" if sample.ok else "Failed")

    @admin.display(description="Answer")
    def answer(self, sample: Sample) -> str:
        return sample.detail or f"HTTP {sample.status_code}"

    @admin.display(description="Latency")
    def latency(self, sample: Sample) -> str:
        return f"{sample.latency_ms:.0f} ms"

    @admin.display(description="What it answered")
    def answered(self, sample: Sample) -> str:
        return format_html("<pre>{}</pre>", sample.excerpt) if sample.excerpt else "-"


@admin.register(StateSegment)
class StateSegmentAdmin(RecordAdmin[StateSegment]):
    """How each check stood over time; availability is computed from these."""

    list_display = ["check_of", "stood", "started_at", "ended_at", "lasted", "reason"]
    list_filter = ["standing", "started_at"]
    list_select_related = ["check_of__service"]
    search_fields = ["check_of__service__name", "check_of__name"]
    search_help_text = "Service or name of the check"
    fields = ["check_of", "stood", ("started_at", "ended_at", "lasted"), "reason"]
    readonly_fields = ["stood", "lasted"]
    empty_text = "No history yet. It begins with the first check."

    def get_queryset(self, request: HttpRequest) -> QuerySet[StateSegment]:
        return super().get_queryset(request).defer("check_of__headers")

    @admin.display(description="Standing", ordering="standing")
    def stood(self, segment: StateSegment) -> str:
        return badge(segment.standing)

    @admin.display(description="Lasted")
    def lasted(self, segment: StateSegment) -> str:
        return timesince(segment.started_at, segment.ended_at, depth=2)


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
