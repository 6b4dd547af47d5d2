"""What checks found and how they stood, in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.timesince import timesince

from core.adminbase import RecordAdmin
from core.components import badge
from reliability.admin.display import BoundedPaginator, answer_field
from reliability.admin.filters import BeforeFilter
from reliability.models import Sample, StateSegment

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


@admin.register(Sample)
class SampleAdmin(RecordAdmin[Sample]):
    """Every result, newest first."""

    list_display = ["at", "check_of", "result", "answer", "latency", "manual"]
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

    @admin.display(description="Lasted")
    def lasted(self, segment: StateSegment) -> str:
        return timesince(segment.started_at, segment.ended_at, depth=2)
