"""Routes in the console: their order, their settings, and what would happen to an alert."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.actors import actor_of
from core.adminbase import SettingsAdmin
from core.adminpages import PageAdmin, act, seen, show
from core.keyring import KeyringError
from notifications.admin.contexts.routes import (
    CHANGE,
    plan_context,
    route_context,
    routes_context,
)
from notifications.admin.route_form import RouteForm, TryForm, described
from notifications.models import Event, Route
from notifications.selectors import routing
from notifications.services import routes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

_EVENTS_OFFERED = 20


@admin.register(Route)
class RouteAdmin(PageAdmin[Route], SettingsAdmin[Route]):
    """Who is told of what, in the order in which it is asked."""

    form = RouteForm
    fieldsets = (
        (None, {"fields": [("name", "enabled")]}),
        ("Which alerts", {"fields": ["matchers", "go_on"]}),
        ("Whom to tell", {"fields": ["channels", "chain"]}),
        (
            "How they are gathered",
            {
                "fields": [
                    ("gather", "same"),
                    ("group_wait_seconds", "group_interval_seconds", "repeat_seconds"),
                ]
            },
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        """Add the page of a route, its place, and the tester."""
        wrap = self.admin_site.admin_view
        own = [
            path("try/", wrap(require_GET(self.try_one)), name="notifications_route_try"),
            path("<int:object_id>/", wrap(require_GET(self.page)), name="notifications_route_page"),
        ]
        own += [
            path(
                f"<int:object_id>/{way}/",
                wrap(require_POST(partial(self.move_one, way=way))),
                name=f"notifications_route_{way}",
            )
            for way in ("up", "down")
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the routes in their order."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        shown = {**routes_context(request), **(extra_context or {})}
        return show(self, request, Route(), title="Routes", template="list", **shown)

    def page_context(self, request: HttpRequest, obj: Route) -> dict[str, Any]:
        return route_context(request, obj)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the form to whoever may change it, the page to everybody else."""
        if request.method == "GET" and not request.user.has_perm(CHANGE):
            route = seen(self, request, object_id)
            return HttpResponseRedirect(reverse("admin:notifications_route_page", args=[route.pk]))
        return super().change_view(request, object_id, form_url, extra_context)

    def move_one(self, request: HttpRequest, object_id: int, way: str) -> HttpResponse:
        """Ask a route earlier or later than its neighbour."""
        page = reverse("admin:notifications_route_changelist")
        work = partial(routes.move, actor=actor_of(request), route_id=object_id, up=way == "up")
        return act(self, request, CHANGE, page, "The order is changed.", work)

    def try_one(self, request: HttpRequest) -> HttpResponse:
        """Tell what would happen to an alert; nothing is raised and nothing is sent."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        event = self._chosen(request)
        data = described(event) if event else request.GET if "severity" in request.GET else None
        form = TryForm(data, initial={"severity": "critical"}, label_suffix="")
        shown: dict[str, Any] = {}
        if data is not None and form.is_valid():
            facts = routing.facts_of(event) if event else form.facts()
            try:
                shown["plan"] = plan_context(request, routing.plan(facts, at=timezone.now()))
            except KeyringError:
                shown["mistake"] = (
                    "The keyring cannot be read, so nobody knows whom the channels reach. Restore "
                    "it, then try again."
                )
        may_see = request.user.has_perm("notifications.view_event")
        events = Event.objects.only("title", "status", "created_at").order_by("-id")
        return show(
            self,
            request,
            Route(),
            title="What would happen",
            template="try",
            form=form,
            event=event,
            events=list(events[:_EVENTS_OFFERED]) if may_see else [],
            **shown,
        )

    def _chosen(self, request: HttpRequest) -> Event | None:
        """Return the event that the person has chosen."""
        key = request.GET.get("event", "")
        if not key.isdecimal() or len(key) > 18:  # noqa: PLR2004  # as long as a number of a row
            return None
        if not request.user.has_perm("notifications.view_event"):
            raise PermissionDenied
        return Event.objects.filter(pk=int(key)).first()

    def get_fieldsets(self, request: HttpRequest, obj: Route | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        """Leave out what the default route has not: it is for every alert and comes last."""
        found = super().get_fieldsets(request, obj)
        if obj is None or not obj.is_default:
            return found
        (_, first), _, *rest = found
        return [(None, {**first, "fields": ["name"]}), *rest]

    def has_delete_permission(self, request: HttpRequest, obj: Route | None = None) -> bool:
        return (obj is None or not obj.is_default) and super().has_delete_permission(request, obj)

    def save_service(
        self, request: HttpRequest, obj: Route, form: ModelForm[Route], change: bool
    ) -> None:
        settings = cast("RouteForm", form).settings()
        actor = actor_of(request)
        if change:
            routes.update(actor=actor, route_id=obj.pk, **settings)
            return
        obj.pk = routes.create(actor=actor, **settings).pk

    def save_related(self, request: HttpRequest, *_: object) -> None:
        """Leave the channels alone: the service has set them, with a record."""

    def delete_service(self, request: HttpRequest, obj: Route) -> None:
        routes.delete(actor=actor_of(request), route_id=obj.pk)

    def get_deleted_objects(
        self, objs: Iterable[Route], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Name the route alone: its threads stay."""
        listed = [str(route) for route in objs]
        return [*listed], {"route": len(listed)}, set(), []

    def response_post_save_add(self, request: HttpRequest, obj: Route) -> HttpResponseRedirect:
        """Go to the list, where the place of the route shows."""
        return HttpResponseRedirect(reverse("admin:notifications_route_changelist"))

    def response_post_save_change(self, request: HttpRequest, obj: Route) -> HttpResponseRedirect:
        """Go to the page of the route."""
        return HttpResponseRedirect(reverse("admin:notifications_route_page", args=[obj.pk]))
