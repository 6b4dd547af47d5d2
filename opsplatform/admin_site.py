"""The operator console: Django's admin site under our name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.views import PasswordChangeView
from django.urls import reverse

if TYPE_CHECKING:
    from django.contrib.auth.forms import PasswordChangeForm
    from django.http import HttpRequest
    from django.template.response import TemplateResponse


class ConsoleSite(AdminSite):
    """The console; `urls` sets the forms of access once the apps are loaded."""

    site_header = "OpsPlatform"
    site_title = "OpsPlatform"
    index_title = "Console"
    empty_value_display = "-"
    password_change_form: type[PasswordChangeForm]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add what every page shows."""
        return {**super().each_context(request), "environment": settings.OPS_ENVIRONMENT}

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
