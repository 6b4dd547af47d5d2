"""What checks found and how they stood, in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_GET

from core.adminbase import RecordAdmin
from core.adminlists import BeforeFilter, BoundedPaginator, before, either, named
from core.components import badge, when
from reliability.admin.contexts.results import results_context
from reliability.admin.display import answer_field, milliseconds
from reliability.admin.pages import show
from reliability.engine.history import micros
from reliability.models import Check, Sample, StateSegment
from reliability.selectors.bars import span
from reliability.selectors.results import answer_of

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern


_TIMINGS: Final = ("name_lookup", "connection", "tls", "first_byte")


@admin.register(Sample)
class SampleAdmin(RecordAdmin[Sample]):
    """The newest results of all checks; a page for each check shows every one, however old."""

    exports = True
    list_display = ["shown_check", "found_at", "result", "answer", "latency", "by_hand"]
    list_filter = [
        BeforeFilter,
        ("ok", either("result", "OK", "Failed")),
        ("manual", either("asked", "By hand", "By the schedule")),
        ("failure", named("kind of failure")),
    ]
    list_select_related = ["check_of__service"]
    paginator = BoundedPaginator
    search_fields = ["check_of__service__name", "check_of__name"]
    search_help_text = "Service or name of the check"
    readonly_fields = [
        "shown_check",
        "found_at",
        "result",
        "by_hand",
        "latency",
        *_TIMINGS,
        "answered",
    ]
    empty_text = "No result of the last hours. The first one comes as soon as a check is asked."

    def get_urls(self) -> list[URLPattern]:
        """Add the page with the results of one check."""
        view = self.admin_site.admin_view(require_GET(self.of_check))
        own = path("check/<int:check_id>/", view, name="reliability_sample_of_check")
        return [own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say how far back the list reaches."""
        title = {"title": "Results of the last hours"}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def of_check(self, request: HttpRequest, check_id: int) -> HttpResponse:
        """Show the results of one check on any day."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        checks = Check.objects.select_related("service").defer("headers")
        check = checks.filter(pk=check_id).first()
        if check is None:
            message = "There is no such check."
            raise Http404(message)
        page = ""
        if request.user.has_perm("reliability.view_check"):
            page = reverse("admin:reliability_check_page", args=[check.pk])
        return show(
            self,
            request,
            check,
            title=f"Results of {check}",
            template="of_check",
            check=check,
            page_of_check=page,
            **results_context(request, check),
        )

    def get_fields(self, request: HttpRequest, obj: Sample | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        return (
            ("shown_check", "found_at"),
            ("result", "by_hand"),
            ("status_code", "failure", "detail"),
            ("latency", *_TIMINGS),
            *answer_field(request),
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Sample]:
        return super().get_queryset(request).defer("check_of__headers")

    @admin.display(description="Check", ordering="check_of__service__name")
    def shown_check(self, sample: Sample) -> str:
        return str(sample.check_of)

    @admin.display(description="Time", ordering="at")
    def found_at(self, sample: Sample) -> str:
        return when(sample.at)

    @admin.display(description="Result")
    def result(self, sample: Sample) -> str:
        return badge("ok" if sample.ok else "failed", "OK" if sample.ok else "Failed")

    @admin.display(description="Answer")
    def answer(self, sample: Sample) -> str:
        return answer_of(sample.detail, sample.status_code)

    @admin.display(description="Latency")
    def latency(self, sample: Sample) -> str:
        return format_html('<span class="numeric">{}</span>', milliseconds(sample.latency_ms))

    @admin.display(description="Asked by hand", ordering="manual")
    def by_hand(self, sample: Sample) -> str:
        return "yes" if sample.manual else ""

    @admin.display(description="Name lookup")
    def name_lookup(self, sample: Sample) -> str:
        return milliseconds(sample.dns_ms or None)

    @admin.display(description="Connection")
    def connection(self, sample: Sample) -> str:
        return milliseconds(sample.connect_ms or None)

    @admin.display(description="TLS")
    def tls(self, sample: Sample) -> str:
        return milliseconds(sample.tls_ms or None)

    @admin.display(description="First byte")
    def first_byte(self, sample: Sample) -> str:
        return milliseconds(sample.first_byte_ms or None)

    @admin.display(description="What it answered")
    def answered(self, sample: Sample) -> str:
        return format_html("<pre>{}</pre>", sample.excerpt) if sample.excerpt else "-"


@admin.register(StateSegment)
class StateSegmentAdmin(RecordAdmin[StateSegment]):
    """How each check stood over time; availability is computed from these."""

    list_display = ["shown_check", "stood", "began", "ended", "lasted", "reason"]
    list_filter = [before("started_at"), ("standing", named("state")), "started_at"]
    list_select_related = ["check_of__service"]
    paginator = BoundedPaginator
    search_fields = ["check_of__service__name", "check_of__name"]
    search_help_text = "Service or name of the check"
    fields = ["shown_check", "stood", ("began", "ended", "lasted"), "reason"]
    readonly_fields = ["shown_check", "stood", "began", "ended", "lasted"]
    empty_text = "No history yet. It begins with the first check."

    def get_queryset(self, request: HttpRequest) -> QuerySet[StateSegment]:
        return super().get_queryset(request).defer("check_of__headers")

    @admin.display(description="Check", ordering="check_of__service__name")
    def shown_check(self, segment: StateSegment) -> str:
        return str(segment.check_of)

    @admin.display(description="State", ordering="standing")
    def stood(self, segment: StateSegment) -> str:
        return badge(segment.standing)

    @admin.display(description="Began", ordering="started_at")
    def began(self, segment: StateSegment) -> str:
        return when(segment.started_at)

    @admin.display(description="Ended", ordering="ended_at")
    def ended(self, segment: StateSegment) -> str:
        return when(segment.ended_at, "goes on")

    @admin.display(description="Lasted")
    def lasted(self, segment: StateSegment) -> str:
        end = segment.ended_at or timezone.now()
        told = span(micros(end) - micros(segment.started_at))
        return format_html('<span class="numeric">{}</span>', told)
