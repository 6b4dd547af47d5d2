"""Every route of the platform."""

from typing import Final

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

from accounts.admin import ConsoleLoginForm, ConsolePasswordChangeForm
from core.rest.permissions import SIGNED_IN

admin.site.login_form = ConsoleLoginForm
admin.site.password_change_form = ConsolePasswordChangeForm


class SchemaView(SpectacularAPIView):
    """The OpenAPI description of the API."""

    capabilities = {"GET": SIGNED_IN}


urlpatterns: Final[list[URLPattern | URLResolver]] = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    # path("", include("observability.api.urls")),
    path("admin/", admin.site.urls),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/", include("audit.api.urls")),
    # path("api/", include("notifications.api.urls")),
    # path("api/", include("reliability.api.urls")),
]
handler404 = "opsplatform.errors.not_found"
handler500 = "opsplatform.errors.failed"
handler403 = "opsplatform.errors.forbidden"
handler400 = "opsplatform.errors.bad_request"
