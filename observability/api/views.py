"""Liveness and readiness, for whoever has to restart the platform or send it work."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import DatabaseError
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from core.rest.permissions import PUBLIC
from observability.api.serializers import (
    GateSerializer,
    GatesSerializer,
    LivenessSerializer,
    ReadinessSerializer,
)
from observability.health import error_budget, readiness

if TYPE_CHECKING:
    from rest_framework.request import Request


logger = logging.getLogger(__name__)


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


class StrictView(APIView):
    """Says whether releases may go on: no gating error budget is more than 80 % used."""

    capabilities: ClassVar[dict[str, str]] = {"GET": PUBLIC}

    @extend_schema(responses={200: GatesSerializer, 500: GatesSerializer, 503: GatesSerializer})
    def get(self, request: Request) -> Response:
        """Answer 500 if a budget is nearly spent, and 503 if nobody can say.

        Strangers learn how many objectives that are; who may see objectives learns which, and why.
        """
        try:
            found = error_budget.check.current()
        except DatabaseError:
            logger.exception("Error budgets cannot be read.")
            body: dict[str, Any] = {"failing_count": 0, "insufficient_count": 0}
            return Response(
                {"status": "unknown", **body}, 503, headers={"Cache-Control": "no-store"}
            )
        status = "drill" if found.is_drill else "ok" if found.are_open else "budget spent"
        body = {
            "status": status,
            "failing_count": len(found.failing),
            "insufficient_count": len(found.insufficient),
        }
        if request.user.has_perm("reliability.view_slo"):
            body["failing"] = GateSerializer(found.failing, many=True).data
            body["insufficient"] = GateSerializer(found.insufficient, many=True).data
        code = 200 if found.are_open else 500
        return Response(body, code, headers={"Cache-Control": "no-store"})
