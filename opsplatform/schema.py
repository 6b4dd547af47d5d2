"""The OpenAPI description of the API, made once per process."""

from functools import cache
from importlib import import_module
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.rest.permissions import SIGNED_IN


@cache
def openapi() -> dict[str, Any]:
    """Return the description; it depends on the code alone."""
    # The generator's import takes longer than a start may; only this route needs it.
    generators = import_module("drf_spectacular.generators")
    schema: dict[str, Any] = generators.SchemaGenerator().get_schema(request=None, public=True)
    return schema


class SchemaView(APIView):
    """The OpenAPI description of this API, as JSON."""

    capabilities: ClassVar = {"GET": SIGNED_IN}

    @extend_schema(exclude=True)
    def get(self, _request: Request) -> Response:
        """Return the description."""
        return Response(openapi(), content_type="application/vnd.oai.openapi+json")
