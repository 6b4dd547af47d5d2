"""Checks as files by API: CSV and YAML, both ways."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, ClassVar, Final

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import actor_of
from core.errors import ForbiddenError, InvalidInputError
from reliability.engine import exchange as files
from reliability.selectors import exchange as catalogue
from reliability.services import exchange
from reliability.services.exchange_plan import Verdict, plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rest_framework.renderers import BaseRenderer
    from rest_framework.request import Request

NEEDED: Final = (
    "reliability.add_service",
    "reliability.change_service",
    "reliability.add_check",
    "reliability.change_check",
)
"""What taking over a file needs, all of it."""
CONTENT_TYPES: Final = {"csv": "text/csv; charset=utf-8", "yaml": "application/yaml"}
_MOST_LINES: Final = 1_000


class LineSerializer(serializers.Serializer[Any]):
    """What becomes of one service or check of the file."""

    line = serializers.IntegerField(source="number")
    service = serializers.CharField()
    check = serializers.CharField(help_text="Empty where the service itself is meant.")
    verdict = serializers.ChoiceField(choices=[verdict.value for verdict in Verdict])
    text = serializers.CharField(help_text="What changes, or why the line is refused.")


class PlanSerializer(serializers.Serializer[Any]):
    """What a file does; `lines` leaves out what stays as it is, and ends after a thousand."""

    dry_run = serializers.BooleanField()
    added = serializers.IntegerField()
    changed = serializers.IntegerField()
    left = serializers.IntegerField()
    refused = serializers.IntegerField()
    lines = LineSerializer(many=True)


class _RawParser(BaseParser):
    """Hands the body over as it is; the middleware has bounded it."""

    form = ""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the form and the bytes."""
        return {"form": self.form, "content": stream.read()}


class CSVParser(_RawParser):
    """Takes text/csv."""

    media_type = "text/csv"
    form = "csv"


class YAMLParser(_RawParser):
    """Takes application/yaml."""

    media_type = "application/yaml"
    form = "yaml"


class OtherYAMLParser(YAMLParser):
    """Takes the older name of YAML."""

    media_type = "application/x-yaml"


class _AsAsked(BaseContentNegotiation):
    """Gives the file that the address names, whatever else the client accepts."""

    def select_parser(self, request: Request, parsers: Any) -> Any:  # noqa: ANN401  # as the base has it
        """Return nothing: a GET has no body."""
        return None

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer of problems."""
        first = next(iter(renderers))
        return first, first.media_type


class _ExportView(APIView):
    capabilities: ClassVar = {"GET": "reliability.change_check"}
    content_negotiation_class = _AsAsked
    throttle_limit = 20


class ExportCSVView(_ExportView):
    """Every service with its checks as a table."""

    @extend_schema(
        operation_id="api_checks_export_csv", responses={(200, "text/csv"): OpenApiTypes.STR}
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Give all checks as CSV, without headers and tokens. Import takes it back."""
        return export("csv", request)


class ExportYAMLView(_ExportView):
    """Every service with its checks as a tree."""

    @extend_schema(
        operation_id="api_checks_export_yaml",
        responses={(200, "application/yaml"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Give all checks as YAML, without headers and tokens. Import takes it back."""
        return export("yaml", request)


class ImportView(APIView):
    """Take over a file of services and checks."""

    capabilities: ClassVar = {"POST": "reliability.add_check"}
    parser_classes = [CSVParser, YAMLParser, OtherYAMLParser]
    throttle_limit = 20

    @extend_schema(
        request={"text/csv": OpenApiTypes.STR, "application/yaml": OpenApiTypes.STR},
        parameters=[
            OpenApiParameter(
                "dry_run", bool, description="Only say what would happen; by default it happens."
            )
        ],
        responses=OpenApiResponse(PlanSerializer, description="What was done, or would be."),
    )
    def post(self, request: Request) -> Response:
        """Add and change what the file says, all of it or nothing.

        Services and checks are known by their names; what the file does not name stays as it is,
        and the same file a second time changes nothing.
        """
        # Keys know the single question only.
        if not all(request.user.has_perm(needed) for needed in NEEDED):
            message = "Importing needs the right to add and change services and checks."
            raise ForbiddenError(message)
        sent: Any = request.data
        if "content" not in sent:
            message = "Send the file as the body, with its Content-Type."
            raise InvalidInputError(message)
        rows = exchange.rows_of(sent["content"], sent["form"])
        dry_run = _flag(request.query_params.get("dry_run", "false"))
        made = plan(rows) if dry_run else exchange.take_over(actor=actor_of(request), rows=rows)
        shown = [line for line in made.lines if line.verdict is not Verdict.LEFT]
        answer = {"dry_run": dry_run, **made.counts, "lines": shown[:_MOST_LINES]}
        return Response(PlanSerializer(answer).data)


def export(form: str, request: Any) -> StreamingHttpResponse:  # noqa: ANN401  # a request of either kind
    """Return all checks as a file, and record that somebody took them along."""
    exchange.note_export(actor=actor_of(request), form=form)
    body = (
        files.write_csv(catalogue.rows(), catalogue.COLUMNS)
        if form == "csv"
        else files.write_yaml(catalogue.services())
    )
    return StreamingHttpResponse(
        body,
        content_type=CONTENT_TYPES[form],
        headers={
            "Content-Disposition": f'attachment; filename="checks.{form}"',
            "Cache-Control": "no-store",
        },
    )


def _flag(text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0", "yes", "no"}:
        message = "dry_run is true or false."
        raise InvalidInputError(message, errors={"dry_run": [message]})
    return text.lower() in {"true", "1", "yes"}
