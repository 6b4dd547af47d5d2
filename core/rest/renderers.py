"""JSON by orjson: several times the speed of the stock renderer."""

from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework import renderers
from rest_framework.utils.encoders import JSONEncoder

_encoder = JSONEncoder()


class JSONRenderer(renderers.BaseRenderer):
    """Renders what serializers return; dates as ISO 8601 with offset, UTC shown as Z."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,  # noqa: ANN401  # the framework's signature
        accepted_media_type: str | None = None,  # noqa: ARG002  # the framework's signature
        renderer_context: Mapping[str, Any] | None = None,  # noqa: ARG002  # the same
    ) -> bytes:
        """Return the bytes; an empty answer has none."""
        if data is None:
            return b""
        options = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
        return orjson.dumps(data, default=_encoder.default, option=options)
