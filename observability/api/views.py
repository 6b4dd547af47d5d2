"""Liveness and readiness, for whoever has to restart the platform or send it work."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from core.rest.permissions import PUBLIC
from observability.api.serializers import LivenessSerializer, ReadinessSerializer
from observability.health import readiness

if TYPE_CHECKING:
    from rest_framework.request import Request


class _HealthView(APIView):
    """Knows no credentials: the answer must come when the database does not."""

    authentication_classes = []
    capabilities: ClassVar[dict[str, str]] = {"GET": PUBLIC}


class LivenessView(_HealthView):
    """Says that the process answers; behind the bridge its event loop says so by itself."""

    @extend_schema(responses=LivenessSerializer)
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class ReadinessView(_HealthView):
    """Says whether the platform can do its work, and if not, which part is missing."""

    @extend_schema(responses={200: ReadinessSerializer, 503: ReadinessSerializer})
    def get(self, request: Request) -> Response:
        found = readiness.check.current()
        draining = readiness.is_draining()
        ready = found.is_ready and not draining
        body = {
            "status": "stopping" if draining else "ready" if ready else "not ready",
            "checks": {
                name: {"state": finding.state.value, "reason": finding.reason}
                for name, finding in found.findings.items()
            },
        }
        return Response(body, 200 if ready else 503, headers={"Cache-Control": "no-store"})
