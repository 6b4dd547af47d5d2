"""Routes of liveness, readiness and statistics."""

from typing import Final

from django.urls import URLPattern, path

from observability.api.views import LivenessView, ReadinessView, StrictView
from observability.api.websockets import WebSocketStatsView

urlpatterns: Final[list[URLPattern]] = [
    path("healthz", LivenessView.as_view(), name="healthz"),
    path("healthz/strict", StrictView.as_view(), name="healthz-strict"),
    path("readyz", ReadinessView.as_view(), name="readyz"),
    path(
        "api/observability/websocket/stats",
        WebSocketStatsView.as_view(),
        name="websocket-stats",
    ),
]
