"""JSON by orjson: quick, and bounded in depth."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser


class JSONParser(BaseParser):
    """Reads a JSON body; NaN, endless nesting and broken UTF-8 are refused."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002  # the framework's signature
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002  # the same
    ) -> Any:  # noqa: ANN401  # any JSON
        """Return the value; raises ParseError."""
        try:
            return orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            message = f"The body is not valid JSON: {error.msg}."
            raise ParseError(message) from None
