"""Every single result of a check by API: as pages, and as a file."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from core.errors import InvalidInputError, NotFoundError
from core.listexport import exported, harmless
from reliability.models import Check, Sample
from reliability.selectors import results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rest_framework.request import Request

    from reliability.selectors.results import Found

COLUMNS: Final = ("at", "ok", "manual", "latency_ms", "status_code", "failure", "detail")

_PAGE: Final = 200
_LARGEST_PAGE: Final = 1_000
_AT_ONCE: Final = 500
_WINDOW: Final = (
    OpenApiParameter(
        "start", datetime, description="Not before this moment (ISO 8601); a day before the end."
    ),
    OpenApiParameter("end", datetime, description="Before this moment (ISO 8601); now."),
)


class ResultSerializer(serializers.Serializer[Any]):
    """What was found at one moment.

    Results of the last two hours are as they were found. Older ones are exact to a tenth of a
    second and 0.4 % of the usual latency, after two days to a second and 2.5 % of each latency.
    """

    at = serializers.DateTimeField()
    ok = serializers.BooleanField()
    manual = serializers.BooleanField(help_text="Asked for by hand; moved no strikes.")
    latency_ms = serializers.FloatField()
    status_code = serializers.IntegerField(allow_null=True)
    failure = serializers.CharField(help_text="Kind of failure, such as timeout; empty if ok.")
    detail = serializers.CharField()


class ResultPageSerializer(serializers.Serializer[Any]):
    """Results from the newest on; `next` leads to older ones, null at the end."""

    next = serializers.URLField(allow_null=True)
    results = ResultSerializer(many=True)


class _ResultsView(APIView):
    capabilities: ClassVar = {"GET": "reliability.view_sample"}


class CheckResultsView(_ResultsView):
    """Single results of a check."""

    @extend_schema(
        parameters=[
            *_WINDOW,
            OpenApiParameter("page_size", int, default=_PAGE, description="At most 1000."),
        ],
        responses=ResultPageSerializer,
    )
    def get(self, request: Request, pk: int) -> Response:
        """List the results of a check, newest first, however old."""
        start, end = _window(request)
        size = _size(request)
        _require(pk)
        found = results.of_check(pk, start=start, end=end)
        page = list(islice(found, size))
        further = next(found, None)
        # A page ends before a moment, so all results of one moment are on the same page.
        while further is not None and further.at == page[-1].at:
            page.append(further)
            further = next(found, None)
        link = None
        if further is not None:
            given = request.query_params.copy()
            given["start"], given["end"] = _text(start), _text(page[-1].at)
            link = f"{request.build_absolute_uri(request.path)}?{given.urlencode()}"
        return Response(
            {"next": link, "results": [_row(one) for one in page]},
            headers={"Cache-Control": "no-store"},
        )


class CheckResultsFileView(_ResultsView):
    """Single results of a check as a file."""

    throttle_limit = 20

    @extend_schema(
        operation_id="api_checks_results_csv",
        parameters=[*_WINDOW],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, pk: int) -> StreamingHttpResponse:
        """Give the results of a check as CSV, oldest first; any number of rows is streamed."""
        start, end = _window(request)
        _require(pk)
        exported.send(
            type(self),
            request=request,
            model=Sample,
            form="csv",
            rows=results.counts([pk], start=start, end=end).n,
            query=f"check={pk}&start={_text(start)}&end={_text(end)}",
        )
        found = results.of_check(pk, start=start, end=end, newest_first=False)
        name = f"results-{pk}-{start:%Y-%m-%d}-{end:%Y-%m-%d}.csv"
        return StreamingHttpResponse(
            _parcels(_lines(found)),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
            },
        )


def _row(found: Found) -> dict[str, Any]:
    return {name: getattr(found, name) for name in COLUMNS}


def _window(request: Request) -> tuple[datetime, datetime]:
    """Return the asked window; raises InvalidInputError naming the parameter."""
    end = _moment(request, "end") or timezone.now()
    start = _moment(request, "start") or end - timedelta(days=1)
    if start > end:
        message = "The start is not after the end."
        raise InvalidInputError(message, errors={"start": [message]})
    return start, end


def _moment(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        # A plus sign that was not escaped arrives as a space.
        moment = parse_datetime(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        moment = None
    if moment is None or not _FIRST.year <= moment.year <= _LAST.year:
        message = "A moment such as 2026-07-01T00:00:00Z."
        raise InvalidInputError(message, errors={name: [message]})
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


_FIRST: Final = datetime(1971, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9000, 1, 1, tzinfo=UTC)


def _size(request: Request) -> int:
    text = request.query_params.get("page_size", str(_PAGE))
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= _LARGEST_PAGE:
        message = f"A number from 1 to {_LARGEST_PAGE}."
        raise InvalidInputError(message, errors={"page_size": [message]})
    return int(text)


def _require(pk: int) -> None:
    if not Check.objects.filter(pk=pk).exists():
        message = "There is no such check."
        raise NotFoundError(message)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class _Echo:
    def write(self, text: str) -> str:
        return text


def _lines(found: Iterable[Found]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for one in found:
        yield writer.writerow(
            [
                _text(one.at),
                "true" if one.ok else "false",
                "true" if one.manual else "false",
                f"{one.latency_ms:.1f}",
                "" if one.status_code is None else one.status_code,
                one.failure,
                harmless(one.detail),
            ]
        )


def _parcels(lines: Iterator[str]) -> Iterator[str]:
    """Join lines: each part of an answer costs its sender as much as many lines do."""
    while parcel := list(islice(lines, _AT_ONCE)):
        yield "".join(parcel)
