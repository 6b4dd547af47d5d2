"""Routes of reliability, below /api/."""

from typing import Final

from django.urls import URLPattern, URLResolver, include, path
from rest_framework.routers import SimpleRouter

from reliability.api import alerts, changes, figures, incidents, objectives, views

router = SimpleRouter()
router.register("services", views.ServiceViewSet)
router.register("checks", views.CheckViewSet)
router.register("incidents", incidents.IncidentViewSet)
router.register("alerts", alerts.AlertViewSet)
router.register("slos", objectives.SLOViewSet)

urlpatterns: Final[list[URLPattern | URLResolver]] = [
    path("ops/uptime/", views.UptimeView.as_view(), name="uptime"),
    path("ops/uptime/test", views.UptimeTestView.as_view(), name="uptime-test"),
    path(
        "ops/uptime/test/<uuid:pk>", views.UptimeTestResultView.as_view(), name="uptime-test-result"
    ),
    path(
        "ops/uptime/test/<uuid:pk>/cancel",
        views.UptimeTestCancelView.as_view(),
        name="uptime-test-cancel",
    ),
    path("ops/changes", changes.ChangeListView.as_view(), name="changes"),
    path("ops/uptime/latency", figures.OverallLatencyView.as_view(), name="latency"),
    path("services/<int:pk>/latency", figures.ServiceLatencyView.as_view(), name="service-latency"),
    path("services/<int:pk>/history", figures.ServiceHistoryView.as_view(), name="service-history"),
    path("checks/<int:pk>/latency", figures.CheckLatencyView.as_view(), name="check-latency"),
    path("checks/<int:pk>/history", figures.CheckHistoryView.as_view(), name="check-history"),
    path(
        "incidents/<int:pk>/latency",
        figures.IncidentLatencyView.as_view(),
        name="incident-latency",
    ),
    path("ops/slo/status", objectives.SLOStatusView.as_view(), name="slo-status"),
    path("slos/<int:pk>/budget", objectives.BudgetView.as_view(), name="slo-budget"),
    path("", include(router.urls)),
]
