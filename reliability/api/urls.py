"""Routes of reliability, below /api/."""

from typing import Final

from django.urls import URLPattern, URLResolver, include, path
from rest_framework.routers import SimpleRouter

from reliability.api import (
    alerts,
    changes,
    exchange,
    figures,
    heartbeats,
    incidents,
    maintenance,
    objectives,
    results,
    views,
)

router = SimpleRouter()
router.register("services", views.ServiceViewSet)
router.register("checks", views.CheckViewSet)
router.register("incidents", incidents.IncidentViewSet)
router.register("alerts", alerts.AlertViewSet)
router.register("slos", objectives.SLOViewSet)
router.register("maintenance", maintenance.MaintenanceViewSet)

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
    path("checks/export.csv", exchange.ExportCSVView.as_view(), name="checks-export-csv"),
    path("checks/export.yaml", exchange.ExportYAMLView.as_view(), name="checks-export-yaml"),
    path("checks/import", exchange.ImportView.as_view(), name="checks-import"),
    path("checks/<int:pk>/latency", figures.CheckLatencyView.as_view(), name="check-latency"),
    path("checks/<int:pk>/results", results.CheckResultsView.as_view(), name="check-results"),
    path(
        "checks/<int:pk>/results.csv",
        results.CheckResultsFileView.as_view(),
        name="check-results-file",
    ),
    path("checks/<int:pk>/history", figures.CheckHistoryView.as_view(), name="check-history"),
    path(
        "incidents/<int:pk>/latency",
        figures.IncidentLatencyView.as_view(),
        name="incident-latency",
    ),
    path("ops/slo/status", objectives.SLOStatusView.as_view(), name="slo-status"),
    path("slos/<int:pk>/budget", objectives.BudgetView.as_view(), name="slo-budget"),
    path("checks/<int:pk>/pings", heartbeats.PingsView.as_view(), name="heartbeat-pings"),
    path(
        "checks/<int:pk>/durations", heartbeats.DurationsView.as_view(), name="heartbeat-durations"
    ),
    path("checks/<int:pk>/rotate", heartbeats.RotateView.as_view(), name="heartbeat-rotate"),
    path("maintenance/upcoming", maintenance.UpcomingView.as_view(), name="maintenance-upcoming"),
    path("", include(router.urls)),
]
