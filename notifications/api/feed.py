"""The live feed by plain requests, for clients that no socket reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import person_id_of
from core.errors import ForbiddenError
from core.rest.permissions import SIGNED_IN
from notifications import selectors
from notifications.engine.audiences import ASKED, allowed_topics, audiences_of, is_withheld
from notifications.engine.follower import MOST_BEHIND

if TYPE_CHECKING:
    from collections.abc import Collection

    from rest_framework.request import Request


class FeedQuerySerializer(serializers.Serializer[dict[str, object]]):
    """What is asked for; without an audience only where each one is."""

    audience = serializers.CharField(max_length=100, required=False)
    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False)


class PositionSerializer(serializers.Serializer[dict[str, int]]):
    """The newest number of an audience, and the last that the person has read."""

    seq = serializers.IntegerField()
    read = serializers.IntegerField()


class EntrySerializer(serializers.Serializer[dict[str, object]]):
    """One entry, as the socket sends it."""

    seq = serializers.IntegerField()
    kind = serializers.CharField()
    data = serializers.JSONField()  # type: ignore[assignment]  # the framework has an attribute of that name
    at = serializers.DateTimeField()


class FeedSerializer(serializers.Serializer[dict[str, object]]):
    """Where the audiences are; with an audience also its next entries, at most 500.

    `resync` says that the number asked for is too old or ahead: read the lists anew, go on at
    `seq`.
    """

    audiences = serializers.DictField(child=PositionSerializer())
    audience = serializers.CharField(required=False)
    seq = serializers.IntegerField(required=False)
    resync = serializers.BooleanField(required=False)
    entries = EntrySerializer(many=True, required=False)


class FeedView(APIView):
    """What happened after a number, for the audiences that the caller may follow."""

    capabilities: ClassVar[dict[str, str]] = {"GET": SIGNED_IN}

    @extend_schema(parameters=[FeedQuerySerializer], responses=FeedSerializer)
    def get(self, request: Request) -> Response:
        asked = FeedQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        user_id = person_id_of(request)
        granted = frozenset(name for name in ASKED if request.user.has_perm(name))
        audiences = audiences_of(allowed_topics(granted), user_id)
        positions = selectors.positions(audiences, user_id)
        told: dict[str, object] = {
            "audiences": {
                name: {"seq": position.seq, "read": position.read}
                for name, position in positions.items()
            }
        }
        audience = asked.validated_data.get("audience")
        if audience is not None:
            if audience not in audiences:
                message = "There is no such audience, or it is not yours."
                raise ForbiddenError(message)
            seq = positions[audience].seq
            after = asked.validated_data.get("after", seq)
            told |= _next(audience, after, seq, granted)
        return Response(told, headers={"Cache-Control": "no-store"})


def _next(audience: str, after: int, seq: int, granted: Collection[str]) -> dict[str, object]:
    found = []
    resync = after > seq or seq - after > MOST_BEHIND
    if not resync and after < seq:
        found = selectors.entries(audience, after)
        # Trimmed meanwhile, so that something between would be missing.
        resync = not found or found[0].seq != after + 1
    entries = [
        {
            "seq": entry.seq,
            "kind": entry.kind,
            "data": {} if is_withheld(audience, entry.kind, granted) else entry.data,
            "at": entry.at.isoformat(timespec="milliseconds"),
        }
        for entry in found
        if not resync
    ]
    return {"audience": audience, "seq": seq, "resync": resync, "entries": entries}
