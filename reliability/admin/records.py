"""What checks found and how they stood, in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html

from core.adminbase import RecordAdmin
from core.components import badge, when
from reliability.admin.display import BoundedPaginator, answer_field, milliseconds
from reliability.admin.filters import BeforeFilter
from reliability.engine.history import micros
from reliability.models import Sample, StateSegment
from reliability.selectors.bars import span

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


@admin.register(Sample)
class SampleAdmin(RecordAdmin[Sample]):
    """Every result, newest first."""

    list_display = ["check_of", "found_at", "result", "answer", "latency", "manual"]
    list_filter = [BeforeFilter, "ok", "manual", "failure"]
    list_select_related = ["check_of__service"]
    paginator = BoundedPaginator
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
            *answer_field(request),
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Sample]:
        return super().get_queryset(request).defer("check_of__headers")

    @admin.display(description="At", ordering="at")
    def found_at(self, sample: Sample) -> str:
        return when(sample.at)

    @admin.display(description="Result")
    def result(self, sample: Sample) -> str:
        return badge("ok" if sample.ok else "failed", "OK" if sample.ok else "Failed")

    @admin.display(description="Answer")
    def answer(self, sample: Sample) -> str:
        return sample.detail or f"HTTP {sample.status_code}"

    @admin.display(description="Latency")
    def latency(self, sample: Sample) -> str:
        return format_html('<span class="numeric">{}</span>', milliseconds(sample.latency_ms))

    @admin.display(description="What it answered")
    def answered(self, sample: Sample) -> str:
        return format_html("<pre>{}</pre>", sample.excerpt) if sample.excerpt else "-"


@admin.register(StateSegment)
class StateSegmentAdmin(RecordAdmin[StateSegment]):
    """How each check stood over time; availability is computed from these."""

    list_display = ["check_of", "stood", "began", "ended", "lasted", "reason"]
    list_filter = ["standing", "started_at"]
    list_select_related = ["check_of__service"]
    paginator = BoundedPaginator
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

    @admin.display(description="Began", ordering="started_at")
    def began(self, segment: StateSegment) -> str:
        return when(segment.started_at)

    @admin.display(description="Ended", ordering="ended_at")
    def ended(self, segment: StateSegment) -> str:
        return when(segment.ended_at, "goes on")

    @admin.display(description="Lasted")
    def lasted(self, segment: StateSegment) -> str:
        end = segment.ended_at or timezone.now()
        return span(micros(end) - micros(segment.started_at))
