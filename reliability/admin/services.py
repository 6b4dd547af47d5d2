"""The catalogue in the console."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from django.contrib import admin
from django.urls import path, reverse
from django.utils.html import format_html

from accounts.actors import actor_of
from core.components import badge
from reliability.admin import exchange
from reliability.admin.contexts.services import service_context
from reliability.admin.display import small_bar
from reliability.admin.filters import FoundFilter, WatchedFilter
from reliability.admin.forms import CheckForm, ServiceForm
from reliability.admin.pages import PagedList, WatchedAdmin
from reliability.engine.strikes import State
from reliability.models import Check, Service
from reliability.selectors import bars, history, ranks
from reliability.selectors.going import going_along
from reliability.services import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django import forms
    from django.db.models import QuerySet
    from django.forms.models import BaseModelFormSet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

    from reliability.engine.history import History


_MOST_INLINE: Final = 20
_CHECKS: Final = "admin:reliability_check_changelist"
_ADD_CHECK: Final = "admin:reliability_check_add"
_INLINE_FIELDS: Final = ["name", "interval_seconds", "timeout_seconds", "strikes_down", "enabled"]


class CheckInline(admin.StackedInline[Check, Service]):
    """The checks of a service on its page."""

    model = Check
    form = CheckForm
    readonly_fields = ["shown_url"]
    verbose_name_plural = "checks over HTTP: fill in a URL to have it watched"

    def get_fields(self, request: HttpRequest, obj: Service | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        # The query of a URL may hold a token; those who only look do not see it.
        if self.has_change_permission(request, obj) or self.has_add_permission(request, obj):
            return ["url", *_INLINE_FIELDS]
        return ["shown_url", *_INLINE_FIELDS]

    @admin.display(description="URL")
    def shown_url(self, check: Check) -> str:
        return check.shown_url

    def get_extra(self, request: HttpRequest, obj: Service | None = None, **_: object) -> int:
        return 1 if obj is None else 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Check]:
        found = super().get_queryset(request).select_related("service").defer("headers")
        return found.filter(kind=Check.Kind.HTTP)


class ServiceList(PagedList):
    """The list of services; the history of those on the page comes by one query."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, and how its services stood in the last day."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        cast("ServiceAdmin", self.model_admin).complete(request, self.result_list)


@admin.register(Service)
class ServiceAdmin(WatchedAdmin[Service]):
    """The catalogue."""

    form = ServiceForm
    exports = True
    export_without = ("day",)
    list_display = ["name", "state", "day", "available", "rank", "environment", "owner"]
    list_filter = [FoundFilter, WatchedFilter, "environment", "tier"]
    search_fields = ["name", "owner", "url"]
    search_help_text = "Name, owner or URL"
    fields = [
        "name",
        "url",
        ("tier", "environment"),
        "owner",
        "is_public",
        "public_name",
    ]
    inlines = [CheckInline]
    # Its checks and all they ever found go along.
    asks_for_name = True
    empty_text = (
        "No service yet. Add one with the URL of a check, and it is watched within seconds."
    )

    class Media:
        css: ClassVar = {"all": ["css/chart.css"]}

    def get_urls(self) -> list[URLPattern]:
        """Add the page of import and export."""
        wrap = self.admin_site.admin_view
        own = [
            path(
                "exchange/",
                wrap(partial(exchange.page, self)),
                name="reliability_service_exchange",
            ),
            path(
                "exchange/checks.<str:form>",
                wrap(exchange.take_along),
                name="reliability_service_takealong",
            ),
        ]
        return [*own, *super().get_urls()]

    def get_inlines(self, request: HttpRequest, obj: Service | None) -> Any:  # noqa: ANN401  # Django's type is a long union
        # A form of a thousand parts serves nobody: then each check is edited on its own page.
        many = obj is not None and obj.checks.order_by()[: _MOST_INLINE + 1].count() > _MOST_INLINE
        return [] if many else super().get_inlines(request, obj)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Service | None = None,
    ) -> HttpResponse:
        """Lead to the checks that the form does not hold."""
        if obj is not None and request.user.has_perm("reliability.view_check"):
            checks = obj.checks.order_by()
            if self.get_inlines(request, obj):
                checks = checks.exclude(kind=Check.Kind.HTTP)
            may_add = request.user.has_perm("reliability.add_check")
            context["elsewhere"] = {
                "count": checks.count(),
                "list": f"{reverse(_CHECKS)}?service__id__exact={obj.pk}",
                "add": f"{reverse(_ADD_CHECK)}?service={obj.pk}" if may_add else "",
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def complete(self, request: HttpRequest, rows: list[Any]) -> None:
        said = ranks.of_services([service.pk for service in rows])
        for service in rows:
            service.said = said.get(service.pk, State.UNKNOWN)
        if not request.user.has_perm("reliability.view_statesegment"):
            return
        found = history.of_services(
            [service.pk for service in rows], window=timedelta(hours=24), buckets=48
        )
        for service in rows:
            service.past = found[service.pk]

    def get_changelist(self, request: HttpRequest, **_: object) -> type[ServiceList]:
        return ServiceList

    def page_context(self, request: HttpRequest, obj: Service) -> dict[str, Any]:
        return {"title": obj.name, **service_context(request, obj)}

    def checks_of(self, obj: Service) -> list[int]:
        return list(obj.checks.order_by("pk").values_list("pk", flat=True))

    @admin.display(description="State")
    def state(self, service: Service) -> str:
        return badge(getattr(service, "said", State.UNKNOWN).value)

    @admin.display(description="Last 24 hours")
    def day(self, service: Service) -> str:
        return small_bar(getattr(service, "past", None))

    @admin.display(description="Available")
    def available(self, service: Service) -> str:
        past: History | None = getattr(service, "past", None)
        return format_html(
            '<span class="numeric">{}</span>', bars.availability(past.total) if past else "-"
        )

    @admin.display(description="Tier", ordering="tier")
    def rank(self, service: Service) -> str:
        return service.get_tier_display().partition(":")[0]

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
        """Name the checks that go along, and count the rest."""
        services = [service.pk for service in objs]
        found = Check.objects.filter(service__in=services).select_related("service")
        checks = list(found.defer("headers"))
        listed = [str(service) for service in objs]
        may_delete = request.user.has_perm("reliability.delete_check")
        needed = {"check"} if checks and not may_delete else set()
        counts = {"services": len(listed), "checks": len(checks)}
        also = going_along(services)
        return [*listed, [str(check) for check in checks], *also], counts, needed, []

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
