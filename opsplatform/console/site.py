"""The operator console: Django's admin site under our name, with our own way around."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.admin import AdminSite
from django.urls import path

from opsplatform.console import home, navigation, palette, showcase

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.template.response import TemplateResponse
    from django.urls import URLPattern, URLResolver

THEME_COOKIE: Final = "theme"
_SCHEMES: Final = {"light": "light", "dark": "dark"}


class ConsoleSite(AdminSite):
    """The console; signing in and the password have pages of their own in accounts."""

    site_header = "OpsPlatform"
    site_title = "OpsPlatform"
    index_title = "Dashboard"
    empty_value_display = "-"
    enable_nav_sidebar = False  # the console has its own

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Add the pages that belong to no model."""
        return [
            path("palette", self.admin_view(self.palette), name="palette"),
            path("components/", self.admin_view(self.components), name="components"),
            *super().get_urls(),
        ]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add what every page shows."""
        context = super().each_context(request)
        # Who has to choose another password or set up a second factor can open nothing yet.
        may_move = context["has_permission"] and not getattr(request, "is_restricted", False)
        theme = request.COOKIES.get(THEME_COOKIE, "")
        shown = navigation.groups(request, context["available_apps"]) if may_move else []
        return {
            **context,
            "environment": settings.OPS_ENVIRONMENT,
            "color_scheme": _SCHEMES.get(theme, "light dark"),
            "may_move": may_move,
            "signed_in": request.user.is_authenticated,
            "navigation": shown,
            "here": navigation.here(shown),
            **(_live() if may_move else {}),
        }

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Show the dashboard."""
        return super().index(request, {**home.context(request), **(extra_context or {})})

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Sign out; the page that says so shows nothing of the console any more."""
        gone = {"may_move": False, "signed_in": False, "navigation": [], "here": None}
        return super().logout(request, {**gone, **(extra_context or {})})

    def palette(self, request: HttpRequest) -> HttpResponse:
        """Answer what the command palette finds."""
        context = super().each_context(request)
        groups = navigation.groups(request, context["available_apps"], counted=False)
        return palette.answer(request, groups)

    def components(self, request: HttpRequest) -> TemplateResponse:
        """Show every component, for whoever builds pages."""
        return showcase.page(request, self.each_context(request))


def _live() -> dict[str, str]:
    """Name where live news come from; nothing while they are switched off."""
    if not getattr(settings, "WS_ENABLED", False):
        return {}
    return {"live_path": getattr(settings, "WS_PATH", ""), "feed_url": "/api/notifications/feed"}
