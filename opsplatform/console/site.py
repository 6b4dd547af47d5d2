"""The operator console: Django's admin site under our name, with our own way around."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.views import PasswordChangeView
from django.urls import path, reverse

from opsplatform.console import home, navigation, palette, showcase

if TYPE_CHECKING:
    from django.contrib.auth.forms import PasswordChangeForm
    from django.http import HttpRequest, HttpResponse
    from django.template.response import TemplateResponse
    from django.urls import URLPattern, URLResolver

THEME_COOKIE: Final = "theme"
_SCHEMES: Final = {"light": "light", "dark": "dark"}


class ConsoleSite(AdminSite):
    """The console; `urls` sets the forms of access once the apps are loaded."""

    site_header = "OpsPlatform"
    site_title = "OpsPlatform"
    index_title = "Dashboard"
    empty_value_display = "-"
    enable_nav_sidebar = False  # the console has its own
    password_change_form: type[PasswordChangeForm]

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
        # Who has to choose another password first can open nothing yet.
        may_move = context["has_permission"] and not getattr(
            request.user, "must_change_password", False
        )
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

    def palette(self, request: HttpRequest) -> HttpResponse:
        """Answer what the command palette finds."""
        context = super().each_context(request)
        groups = navigation.groups(request, context["available_apps"], counted=False)
        return palette.answer(request, groups)

    def components(self, request: HttpRequest) -> TemplateResponse:
        """Show every component, for whoever builds pages."""
        return showcase.page(request, self.each_context(request))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Show and take the form for a new password; the stock site does not let it be chosen."""
        view = PasswordChangeView.as_view(
            form_class=self.password_change_form,
            success_url=reverse("admin:password_change_done", current_app=self.name),
            template_name="registration/password_change_form.html",
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return view(request)  # type: ignore[return-value]  # a redirect once it is done


def _live() -> dict[str, str]:
    """Name where live news come from; nothing while they are switched off."""
    if not getattr(settings, "WS_ENABLED", False):
        return {}
    return {"live_path": getattr(settings, "WS_PATH", ""), "feed_url": "/api/notifications/feed"}
