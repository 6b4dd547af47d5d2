"""Every route of the platform."""

from __future__ import annotations

from typing import Final

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from accounts.pages.start import start
from opsplatform.schema import SchemaView

urlpatterns: Final[list[URLPattern | URLResolver]] = [
    path("", start),
    path("", include("observability.api.urls")),
    path(".well-known/", include("accounts.api.well_known")),
    path("account/", include("accounts.pages.urls")),
    path("account/", include("notifications.pages.urls")),
    # Before the console's own pages of these names.
    path("admin/", include("accounts.pages.sign_in_urls")),
    path("admin/", include("observability.pages.urls")),
    path("admin/", admin.site.urls),
    path("status/", include("reliability.pages.status_urls")),
    path("hb/", include("reliability.pages.heartbeat_urls")),
    path("ack/", include("notifications.pages.acknowledge_urls")),
    path("api/docs/", include("opsplatform.explorer.views")),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/", include("accounts.api.urls")),
    path("api/", include("audit.api.urls")),
    path("api/", include("notifications.api.urls")),
    path("api/", include("reliability.api.urls")),
]
handler400 = "opsplatform.errors.bad_request"
handler403 = "opsplatform.errors.forbidden"
handler404 = "opsplatform.errors.not_found"
handler500 = "opsplatform.errors.failed"
