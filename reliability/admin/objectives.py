"""Objectives in the console."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import JsonResponse
from django.urls import path
from django.utils.html import format_html
from django.views.decorators.http import require_GET

from accounts.actors import actor_of
from core.adminlists import BoundedPaginator
from reliability.admin.contexts import objectives as shown
from reliability.admin.objective_form import SLOForm
from reliability.admin.pages import PagedList, WatchedAdmin
from reliability.engine.slo import State
from reliability.models import SLO
from reliability.selectors import objectives
from reliability.selectors.indicators import watched
from reliability.services import objectives as changes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

    from reliability.selectors.objectives import Standing

_LONGEST_DIGITS = 12


class StateFilter(admin.SimpleListFilter):
    """Objectives by the state of their last snapshot."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's type is invariant
        """Offer every state."""
        return [(state.value, shown.WORDS[state]) for state in State]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Compare what the guard found last."""
        value = self.value()
        return queryset.filter(last_state=value) if value in shown.WORDS else queryset


class SLOList(PagedList):
    """The list of objectives; where those on the page stand is read for all at once."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, and where its objectives stand."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        cast("SLOAdmin", self.model_admin).complete(request, self.result_list)


@admin.register(SLO)
class SLOAdmin(WatchedAdmin[SLO]):
    """What is promised of services, and what is left of the error budgets."""

    form = SLOForm
    exports = True
    export_without = ("budget",)
    list_display = ["title", "state", "promise", "reached", "budget", "left", "burning", "gates"]
    list_filter = [StateFilter, "enabled", "gate", "indicator", "service__tier"]
    search_fields = ["name", "service__name"]
    search_help_text = "Name or service"
    paginator = BoundedPaginator
    autocomplete_fields = ["service", "checks"]
    empty_text = "No objective yet. Each new service gets one; further ones are added here."
    fieldsets = (
        (None, {"fields": ["service", "name", "enabled"]}),
        ("What is promised", {"fields": ["indicator", "threshold_ms", "objective"]}),
        ("Over which time", {"fields": [("window", "window_days")]}),
        (
            "Of what",
            {"fields": ["checks", "combine", "unknown_policy"], "classes": ["collapse"]},
        ),
        ("What follows", {"fields": ["gate", "policy"]}),
    )

    class Media:
        css: ClassVar = {"all": ["css/chart.css"]}
        js: ClassVar = [forms.Script("js/slo-form.js", type="module")]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SLO]:
        return objectives.slos().order_by(*self.get_ordering(request) or ["service__name", "pk"])

    def get_urls(self) -> list[URLPattern]:
        """Add the question of the form, whether its checks ask often enough."""
        view = self.admin_site.admin_view(require_GET(self.hint))
        return [path("hint/", view, name="reliability_slo_hint"), *super().get_urls()]

    def complete(self, request: HttpRequest, rows: list[Any]) -> None:
        for found in objectives.standings(rows):
            found.slo.standing = found  # type: ignore[attr-defined]  # the columns read it

    def get_changelist(self, request: HttpRequest, **_: object) -> type[SLOList]:
        return SLOList

    def get_readonly_fields(self, request: HttpRequest, obj: SLO | None = None) -> list[str]:
        return ["service"] if obj is not None else []

    def page_context(self, request: HttpRequest, obj: SLO) -> dict[str, Any]:
        return {"title": str(obj), **shown.objective_context(request, obj)}

    def checks_of(self, obj: SLO) -> list[int]:
        return watched.check_ids(obj)

    def hint(self, request: HttpRequest) -> HttpResponse:
        """Say whether the checks of a service ask often enough for an objective in the form."""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        asked = request.GET
        try:
            share = float(asked.get("objective", "")[:_LONGEST_DIGITS]) / 100
            window = timedelta(days=int(asked.get("window_days", "")[:3]))
            service_id = int(asked.get("service", "")[:_LONGEST_DIGITS] or 0)
            slo_id = int(asked.get("slo", "")[:_LONGEST_DIGITS] or 0)
        except ValueError:
            return JsonResponse({"text": ""})
        if not 0 < share < 1 or window <= timedelta():
            return JsonResponse({"text": ""})
        interval = watched.longest_interval(service_id=service_id, slo_id=slo_id)
        is_coarse = objectives.is_too_coarse(share, window, interval)
        text = shown.too_coarse(interval) if is_coarse else ""
        return JsonResponse({"text": text}, headers={"Cache-Control": "no-store"})

    @admin.display(description="Objective", ordering="service__name")
    def title(self, slo: SLO) -> str:
        return str(slo)

    @admin.display(description="State")
    def state(self, slo: SLO) -> str:
        found = _found(slo)
        return shown.standing_badge(found) if found else shown.off_badge()

    @admin.display(description="Promise", ordering="objective")
    def promise(self, slo: SLO) -> str:
        return objectives.promise(slo)

    @admin.display(description="Reached")
    def reached(self, slo: SLO) -> str:
        found = _found(slo)
        return _numeric(shown.reached(found) if found else "-")

    @admin.display(description="Budget")
    def budget(self, slo: SLO) -> str:
        found = _found(slo)
        return shown.budget_bar(found.remaining_share, found.state) if found else ""

    @admin.display(description="Left")
    def left(self, slo: SLO) -> str:
        found = _found(slo)
        return _numeric(shown.left(found) if found else "-")

    @admin.display(description="Burn rate, 1 h")
    def burning(self, slo: SLO) -> str:
        found = _found(slo)
        return _numeric(shown.burn(found.burn_rates["1h"]) if found else "-")

    @admin.display(description="Gate", boolean=True, ordering="gate")
    def gates(self, slo: SLO) -> bool:
        return slo.gate

    def save_service(
        self, request: HttpRequest, obj: SLO, form: forms.ModelForm[SLO], change: bool
    ) -> None:
        settings = cast("SLOForm", form).settings()
        if change:
            slo = changes.update(actor=actor_of(request), slo_id=obj.pk, **settings)
        else:
            service = form.cleaned_data["service"]
            slo = changes.create(actor=actor_of(request), service_id=service.pk, **settings)
            obj.pk = slo.pk
        found = objectives.standing(slo)
        if found.is_too_coarse:
            text = shown.too_coarse(found.reading.interval_seconds)
            self.message_user(request, text, messages.WARNING)

    def save_related(
        self,
        request: HttpRequest,
        form: forms.ModelForm[SLO],
        formsets: object,
        change: bool,
    ) -> None:
        """Write nothing more: the service has set the checks."""

    def get_deleted_objects(
        self, objs: Iterable[SLO], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Leave out the snapshots, which may be thousands."""
        listed = [str(slo) for slo in objs]
        return [*listed, ["with all snapshots"]], {"objectives": len(listed)}, set(), []

    def delete_service(self, request: HttpRequest, obj: SLO) -> None:
        changes.delete(actor=actor_of(request), slo_id=obj.pk)


def _found(slo: SLO) -> Standing | None:
    return getattr(slo, "standing", None)


def _numeric(text: str) -> str:
    return format_html('<span class="numeric">{}</span>', text)
