"""Figures over time by API: availability, history and latency, as the console draws them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from core.errors import InvalidInputError, NotFoundError
from reliability.engine.history import moment
from reliability.models import Check, Incident, Service
from reliability.selectors import history, incidents, latency

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rest_framework.request import Request

    from reliability.engine.history import Bucket, History, Shares
    from reliability.selectors.latency import Series

T = TypeVar("T")

_RANGE: Final = OpenApiParameter(
    "range", enum=list(latency.RANGES), default="24h", description="How far to look back."
)
_WINDOW: Final = OpenApiParameter(
    "window", enum=list(history.WINDOWS), default="24h", description="How far to look back."
)
_SECOND: Final = 1_000_000


class SeriesSerializer(serializers.Serializer[Any]):
    """Columns of equal length, in time order; null where nobody knows."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    step_seconds = serializers.IntegerField()
    is_estimate = serializers.BooleanField(
        help_text="Computed from an even choice of the checks, since there are too many results."
    )
    at = serializers.ListField(
        child=serializers.IntegerField(), help_text="Middle of each step, in seconds since 1970."
    )
    p50_ms = serializers.ListField(child=serializers.FloatField(allow_null=True))
    p95_ms = serializers.ListField(child=serializers.FloatField(allow_null=True))
    max_ms = serializers.ListField(child=serializers.FloatField(allow_null=True))
    good = serializers.ListField(child=serializers.IntegerField(allow_null=True))
    failed = serializers.ListField(child=serializers.IntegerField(allow_null=True))
    dns_ms = serializers.ListField(child=serializers.FloatField(allow_null=True))
    connect_ms = serializers.ListField(child=serializers.FloatField(allow_null=True))
    tls_ms = serializers.ListField(child=serializers.FloatField(allow_null=True))
    first_byte_ms = serializers.ListField(child=serializers.FloatField(allow_null=True))


class SharesSerializer(serializers.Serializer[Any]):
    """How much of some time counts as what."""

    availability = serializers.FloatField(
        allow_null=True, help_text="Share of the known time that was up; null without any."
    )
    coverage = serializers.FloatField(
        allow_null=True, help_text="Share of the watched time that is known."
    )
    is_covered = serializers.BooleanField(
        help_text="False where too little is known to speak of an availability."
    )
    up_seconds = serializers.FloatField()
    degraded_seconds = serializers.FloatField()
    down_seconds = serializers.FloatField()
    unknown_seconds = serializers.FloatField()
    maintenance_seconds = serializers.FloatField()
    paused_seconds = serializers.FloatField()
    absent_seconds = serializers.FloatField(help_text="Before there was a check.")


class BucketSerializer(SharesSerializer):
    """One of the equal parts of a window."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    worst = serializers.ChoiceField(
        choices=["up", "degraded", "down", "unknown", "maintenance", "paused", "absent"]
    )


class HistorySerializer(SharesSerializer):
    """A window with its parts; unknown time is neither up nor down."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    buckets = BucketSerializer(many=True)


class _LatencyView(APIView):
    """Latencies over time; the curves of the console read them."""

    capabilities: ClassVar = {"GET": "reliability.view_sample"}


class ServiceLatencyView(_LatencyView):
    """Latencies of a service, over all its checks."""

    @extend_schema(parameters=[_RANGE], responses=SeriesSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return _latency(request, Service, pk, latency.of_service)


class CheckLatencyView(_LatencyView):
    """Latencies of a check."""

    @extend_schema(parameters=[_RANGE], responses=SeriesSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return _latency(request, Check, pk, latency.of_check)


class OverallLatencyView(_LatencyView):
    """Latencies over all checks."""

    @extend_schema(parameters=[_RANGE], responses=SeriesSerializer)
    def get(self, request: Request) -> Response:
        return _series(latency.overall(_chosen(request, "range", latency.RANGES)))


class IncidentLatencyView(_LatencyView):
    """Latencies of the check of an incident, from some time before it to some time after."""

    @extend_schema(responses=SeriesSerializer)
    def get(self, request: Request, pk: int) -> Response:
        incident = Incident.objects.filter(pk=pk).first()
        # An incident outlives its check, but the results do not.
        if incident is None or incident.check_of_id is None:
            message = "There is no such incident with results."
            raise NotFoundError(message)
        start, end = incidents.surroundings(incident)
        return _series(latency.of_check_around(incident.check_of_id, start, end))


class _HistoryView(APIView):
    """How something stood."""

    capabilities: ClassVar = {"GET": "reliability.view_statesegment"}


class ServiceHistoryView(_HistoryView):
    """How a service stood: at each moment as its worst check."""

    @extend_schema(parameters=[_WINDOW], responses=HistorySerializer)
    def get(self, request: Request, pk: int) -> Response:
        return _history(request, Service, pk, history.of_services)


class CheckHistoryView(_HistoryView):
    """How a check stood."""

    @extend_schema(parameters=[_WINDOW], responses=HistorySerializer)
    def get(self, request: Request, pk: int) -> Response:
        return _history(request, Check, pk, history.of_checks)


def _latency(
    request: Request, model: type[Service | Check], pk: int, read: Callable[[int, str], Series]
) -> Response:
    wanted = _chosen(request, "range", latency.RANGES)
    _require(model, pk)
    return _series(read(pk, wanted))


def _history(
    request: Request,
    model: type[Service | Check],
    pk: int,
    read: Callable[..., dict[int, History]],
) -> Response:
    window, buckets = history.WINDOWS[_chosen(request, "window", history.WINDOWS)]
    _require(model, pk)
    found = read([pk], window=window, buckets=buckets)
    return Response(HistorySerializer(_told(found[pk])).data)


def _chosen(request: Request, name: str, known: Mapping[str, T]) -> str:
    chosen: str = request.query_params.get(name, "24h")
    if chosen not in known:
        message = f"Choose one of {', '.join(known)}."
        raise InvalidInputError(message, errors={name: [message]})
    return chosen


def _require(model: type[Service | Check], pk: int) -> None:
    if not model._default_manager.filter(pk=pk).exists():  # noqa: SLF001  # Django's public name of the manager
        message = f"There is no such {model._meta.verbose_name}."
        raise NotFoundError(message)


def _series(found: Series) -> Response:
    return Response(asdict(found), headers={"Cache-Control": "no-store"})


def _told(found: History) -> dict[str, Any]:
    return {
        "start": moment(found.start),
        "end": moment(found.end),
        **_shares(found.total),
        "buckets": [_bucket(bucket) for bucket in found.buckets],
    }


def _bucket(bucket: Bucket) -> dict[str, Any]:
    return {
        "start": moment(bucket.start),
        "end": moment(bucket.end),
        "worst": bucket.shares.worst.name.lower(),
        **_shares(bucket.shares),
    }


def _shares(shares: Shares) -> dict[str, Any]:
    parts = ("up", "degraded", "down", "unknown", "maintenance", "paused", "absent")
    return {
        "availability": shares.availability,
        "coverage": shares.coverage,
        "is_covered": shares.is_covered,
        **{f"{name}_seconds": getattr(shares, name) / _SECOND for name in parts},
    }
