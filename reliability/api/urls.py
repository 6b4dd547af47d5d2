"""Routes of reliability, below /api/."""

from typing import Final

from django.urls import URLPattern, URLResolver, include, path
from rest_framework.routers import SimpleRouter

from reliability.api import views

router = SimpleRouter()
router.register("services", views.ServiceViewSet)
router.register("checks", views.CheckViewSet)
router.register("incidents", views.IncidentViewSet)

urlpatterns: Final[list[URLPattern | URLResolver]] = [
    path("ops/uptime/", views.UptimeView.as_view(), name="uptime"),
    path("ops/uptime/test", views.UptimeTestView.as_view(), name="uptime-test"),
    path(
        "ops/uptime/test/<uuid:pk>", views.UptimeTestResultView.as_view(), name="uptime-test-result"
    ),
    path("", include(router.urls)),
]
