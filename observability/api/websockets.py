"""Connections of the live feed, as the web processes report them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from observability.selectors import socket_statistics

if TYPE_CHECKING:
    from rest_framework.request import Request


class DelaySerializer(serializers.Serializer[dict[str, float]]):
    """Milliseconds from the commit of an entry until it was sent, of the last 500."""

    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)


class ConnectionsSerializer(serializers.Serializer[dict[str, object]]):
    """Connections that are open, and what happened since the process began."""

    open = serializers.IntegerField()
    roles = serializers.DictField(child=serializers.IntegerField())
    opened = serializers.IntegerField()
    refused = serializers.IntegerField()
    closed = serializers.DictField(child=serializers.IntegerField(), help_text="By close code.")
    frames = serializers.IntegerField()
    metrics_replaced = serializers.IntegerField()
    slow_closes = serializers.IntegerField()
    replays = serializers.IntegerField()
    queue_depth = serializers.IntegerField()


class ProcessConnectionsSerializer(ConnectionsSerializer):
    """The same of one process, as it said up to ten seconds ago."""

    host = serializers.CharField()
    pid = serializers.IntegerField()
    reported_at = serializers.DateTimeField()
    commit_to_send_ms = DelaySerializer()


class WebSocketStatsSerializer(serializers.Serializer[dict[str, object]]):
    """Connections of all web processes."""

    enabled = serializers.BooleanField()
    limit = serializers.IntegerField()
    total = ConnectionsSerializer()
    processes = ProcessConnectionsSerializer(many=True)


class WebSocketStatsView(APIView):
    """How many connections are open, for whom, and how fast they are told."""

    capabilities: ClassVar[dict[str, str]] = {"GET": "observability.view_health"}

    @extend_schema(responses=WebSocketStatsSerializer)
    def get(self, request: Request) -> Response:
        found = socket_statistics()
        return Response(
            {
                "enabled": settings.WS_ENABLED,
                "limit": settings.WS_MAX_CONNECTIONS,
                "total": found.total,
                "processes": found.processes,
            }
        )
