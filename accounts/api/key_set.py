"""The public keys of our tokens, for whoever verifies them elsewhere (RFC 7517)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.selectors import signing
from core.rest.permissions import PUBLIC

if TYPE_CHECKING:
    from rest_framework.request import Request


class KeySetView(APIView):
    """The JSON Web Key Set."""

    authentication_classes = ()
    capabilities: ClassVar = {"GET": PUBLIC}

    @extend_schema(
        operation_id="well_known_jwks",
        responses=inline_serializer(
            "KeySet", {"keys": serializers.ListField(child=serializers.DictField())}
        ),
        auth=[],
        description="The public keys that verify access tokens; a new one stands here for ten "
        "minutes before it signs.",
    )
    def get(self, request: Request) -> Response:
        """Return the keys that are staged, active or retiring."""
        answer = Response({"keys": signing.published()})
        answer["Cache-Control"] = "public, max-age=300"
        answer["Access-Control-Allow-Origin"] = "*"
        return answer
