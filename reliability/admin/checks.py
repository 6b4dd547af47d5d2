"""Checks in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from django.contrib import admin
from django.forms.widgets import Script
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from accounts.actors import actor_of
from core.components import badge, when
from reliability.admin.contexts.checks import check_context
from reliability.admin.contexts.heartbeats import expected
from reliability.admin.display import last_answer, milliseconds, run_checks
from reliability.admin.forms import CheckForm
from reliability.admin.pages import PagedList, WatchedAdmin
from reliability.models import Check
from reliability.services import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django import forms
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

_FIELDSETS: Final = (
    (
        "Request",
        {
            "fields": [
                "method",
                "body",
                ("follow_redirects", "tls_verify"),
                ("ip_family", "dns_server"),
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
                ("strikes_down", "strikes_up", "down_at_once"),
            ]
        },
    ),
    (
        "What counts as good",
        {
            "fields": [
                "accept",
                "body_contains",
                "assertions",
                "dns_expected",
                ("tls_min_days", "degraded_ms"),
            ]
        },
    ),
    ("Among others", {"fields": ["parents", "tags"]}),
)
# What may hold a secret is for those who may change it.
_FOR_EDITORS: Final = frozenset({"body", "new_headers", "remove_headers"})


@admin.register(Check)
class CheckAdmin(WatchedAdmin[Check]):
    """Every check with what it says now."""

    form = CheckForm
    exports = True
    list_display = ["title", "asks", "says", "since", "answer", "latency", "asked", "rhythm"]
    list_filter = ["state__state", "kind", "enabled", "service__environment", "service__tier"]
    list_select_related = ["service", "state", "heartbeat"]
    search_fields = ["name", "url", "host", "service__name"]
    search_help_text = (
        "Name, URL, host or service. The filter by state compares what was found last, even where "
        "that is so old that the list says “unknown”."
    )
    autocomplete_fields = ["service", "parents"]
    readonly_fields = ["says", "since", "answer", "history"]
    actions = ["run_now"]
    empty_text = "No check yet. A check asks a URL again and again and tells when it fails."

    class Media:
        css: ClassVar = {"all": ["css/chart.css"]}
        js: ClassVar = [Script("js/check-form.js", defer=True)]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Check]:
        return super().get_queryset(request).defer("headers")

    def get_fieldsets(self, request: HttpRequest, obj: Check | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        now = (
            [("Now", {"fields": [("says", "since"), "answer", "history"]})]
            if obj is not None
            else []
        )
        if self._sees_urls(request):
            asked = ["kind", "url", ("host", "port", "dns_type")]
            return [*now, (None, {"fields": ["service", "name", *asked, "enabled"]}), *_FIELDSETS]
        target = (None, {"fields": ["service", "name", "kind", "shown_url", "enabled"]})
        shown = [
            (
                title,
                options | {"fields": [f for f in options["fields"] if f not in _FOR_EDITORS]},
            )
            for title, options in cast("tuple[tuple[str, dict[str, Any]], ...]", _FIELDSETS)
        ]
        return [*now, target, *shown]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Edit a check; a heartbeat is edited where its rhythm is."""
        if (
            object_id.isdecimal()
            and Check.objects.filter(pk=int(object_id), kind=Check.Kind.HEARTBEAT).exists()
        ):
            return redirect("admin:reliability_heartbeat_change", object_id)
        return super().change_view(request, object_id, form_url, extra_context)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        # Whoever may search in a text can guess it letter by letter.
        return [name for name in self.search_fields if name != "url" or self._sees_urls(request)]

    def _sees_urls(self, request: HttpRequest) -> bool:
        """Tell whether to show queries, which may hold a token; those who only look see none."""
        return self.has_add_permission(request) or self.has_change_permission(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Check | None = None) -> list[str]:
        return [*self.readonly_fields, "service", "shown_url"] if obj is not None else []

    def get_changelist(self, request: HttpRequest, **_: object) -> type[PagedList]:
        return PagedList

    def page_context(self, request: HttpRequest, obj: Check) -> dict[str, Any]:
        context = check_context(request, obj, sees_urls=self._sees_urls(request))
        return {"title": str(obj), **context}

    def checks_of(self, obj: Check) -> list[int]:
        return [obj.pk]

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("reliability.run_uptimetest")

    @admin.display(description="Check", ordering="service__name")
    def title(self, check: Check) -> str:
        return str(check)

    @admin.display(description="URL")
    def shown_url(self, check: Check) -> str:
        return check.shown_url

    @admin.display(description="State", ordering="state__state")
    def says(self, check: Check) -> str:
        return badge(check.says.state if check.enabled else "off")

    @admin.display(description="Since")
    def since(self, check: Check) -> str:
        return when(check.says.since)

    @admin.display(description="Last answer")
    def answer(self, check: Check) -> str:
        return last_answer(check)

    @admin.display(description="History")
    def history(self, check: Check) -> str:
        pages = {"Results": "sample", "Standing": "statesegment", "Incidents": "incident"}
        return format_html_join(
            " · ",
            '<a href="{}?check_of__id__exact={}">{}</a>',
            (
                (reverse(f"admin:reliability_{page}_changelist"), check.pk, title)
                for title, page in pages.items()
            ),
        )

    @admin.display(description="Latency")
    def latency(self, check: Check) -> str:
        return format_html('<span class="numeric">{}</span>', milliseconds(check.state.last_ms))

    @admin.display(description="Last result", ordering="state__last_at")
    def asked(self, check: Check) -> str:
        return when(check.state.last_at)

    @admin.display(description="Kind", ordering="kind")
    def asks(self, check: Check) -> str:
        return check.get_kind_display()

    @admin.display(description="Rhythm", ordering="interval_seconds")
    def rhythm(self, check: Check) -> str:
        if check.kind == Check.Kind.HEARTBEAT:
            return expected(check.heartbeat)
        return f"every {check.interval_seconds} s"

    @admin.action(description="Run now (a look that changes no state)", permissions=["run"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[Check]) -> HttpResponse:
        return run_checks(self, request, list(queryset.values_list("pk", flat=True)))

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
