"""The operator console: Django's admin site under our name."""

from django.conf import settings
from django.contrib.admin import AdminSite
from django.http import HttpRequest


class ConsoleSite(AdminSite):
    """The console; forms of access are set in `urls`, once the apps are loaded."""

    site_header = "OpsPlatform"
    site_title = "OpsPlatform"
    index_title = "Console"
    empty_value_display = "-"

    def each_context(self, request: HttpRequest) -> dict[str, object]:
        """Add what every page shows."""
        return {**super().each_context(request), "environment": settings.OPS_ENVIRONMENT}
