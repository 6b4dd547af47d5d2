"""Every route of the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from accounts.admin.forms import ConsoleLoginForm, ConsolePasswordChangeForm
from opsplatform.schema import SchemaView

if TYPE_CHECKING:
    from opsplatform.console.site import ConsoleSite

site = cast("ConsoleSite", admin.site)
site.login_form = ConsoleLoginForm
site.password_change_form = ConsolePasswordChangeForm

urlpatterns: Final[list[URLPattern | URLResolver]] = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("", include("observability.api.urls")),
    path("account/", include("accounts.pages.urls")),
    path("admin/", admin.site.urls),
    path("api/docs/", include("opsplatform.explorer.views")),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/", include("audit.api.urls")),
    path("api/", include("notifications.api.urls")),
    path("api/", include("reliability.api.urls")),
]
handler400 = "opsplatform.errors.bad_request"
handler403 = "opsplatform.errors.forbidden"
handler404 = "opsplatform.errors.not_found"
handler500 = "opsplatform.errors.failed"
