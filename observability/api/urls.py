"""Routes of liveness and readiness."""

from typing import Final

from django.urls import URLPattern, path

from observability.api.views import LivenessView, ReadinessView

urlpatterns: Final[list[URLPattern]] = [
    path("healthz", LivenessView.as_view(), name="healthz"),
    path("readyz", ReadinessView.as_view(), name="readyz"),
]
