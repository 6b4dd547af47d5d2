"""Runs that somebody asked for, in the console."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from core.adminlists import BoundedPaginator
from core.components import badge, when
from reliability.admin.contexts.uptime_tests import test_context
from reliability.admin.display import run_checks
from reliability.admin.pages import ReadAdmin, act
from reliability.models import Check, UptimeTest
from reliability.services import uptime_tests

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern


@admin.register(UptimeTest)
class UptimeTestAdmin(ReadAdmin[UptimeTest]):
    """Runs that somebody asked for."""

    list_display = ["asked", "by", "result", "ended"]
    list_filter = ["state"]
    paginator = BoundedPaginator
    empty_text = "No test yet. Run all checks here, or choose some in their list."

    def get_queryset(self, request: HttpRequest) -> QuerySet[UptimeTest]:
        # Megabytes each; the page of one asks for its results.
        return super().get_queryset(request).defer("check_ids", "first_failures", "results")

    def get_urls(self) -> list[URLPattern]:
        """Add what may be done: begin a run of all checks, and end one early."""
        wrap = self.admin_site.admin_view
        own = [
            path("run/", wrap(self.run), name="reliability_uptimetest_run"),
            path(
                "<uuid:object_id>/cancel/",
                wrap(require_POST(self.cancel)),
                name="reliability_uptimetest_cancel",
            ),
        ]
        return [*own, *super().get_urls()]

    def page_context(self, request: HttpRequest, obj: UptimeTest) -> dict[str, Any]:
        return {"title": "Uptime test", **test_context(request, obj)}

    def run(self, request: HttpRequest) -> HttpResponse:
        """Ask whether to run every check that is on, and run them."""
        if request.method == "POST":
            return run_checks(self, request, None)
        if not request.user.has_perm("reliability.run_uptimetest"):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Run an uptime test?",
            "count": Check.objects.filter(enabled=True).count(),
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/reliability/uptimetest/run.html", context)

    def cancel(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """End a run before it is done."""
        page = reverse("admin:reliability_uptimetest_change", args=[object_id])
        work = partial(uptime_tests.cancel, actor=actor_of(request), test_id=str(object_id))
        return act(self, request, "reliability.run_uptimetest", page, "Cancelled.", work)

    @admin.display(description="Asked", ordering="created_at")
    def asked(self, test: UptimeTest) -> str:
        return when(test.created_at)

    @admin.display(description="By", ordering="requested_by")
    def by(self, test: UptimeTest) -> str:
        return test.requested_by

    @admin.display(description="Result", ordering="state")
    def result(self, test: UptimeTest) -> str:
        return badge(test.verdict, test.outcome)

    @admin.display(description="Ended", ordering="finished_at")
    def ended(self, test: UptimeTest) -> str:
        return when(test.finished_at)
