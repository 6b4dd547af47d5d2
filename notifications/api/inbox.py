"""The notification centre by plain requests: what a person was told, and what of it was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import person_id_of
from core.errors import ForbiddenError
from core.rest.permissions import SIGNED_IN
from notifications.engine import places
from notifications.engine.audiences import ASKED, allowed_topics, audiences_of, of_user
from notifications.models import Event
from notifications.selectors.inbox import INBOX_PAGE, KINDS, Wanted, inbox, inbox_audiences
from notifications.services.live import mark_read

if TYPE_CHECKING:
    from uuid import UUID

    from rest_framework.request import Request

    from notifications.selectors.inbox import Line

_MOST_NAME: Final = 100
_MOST_PLACE: Final = 200
_LAST: Final = 2**63 - 1


class InboxQuerySerializer(serializers.Serializer[dict[str, object]]):
    """What is asked for; `before` and `after` are what an answer said of other pages."""

    kind = serializers.ChoiceField(choices=KINDS, required=False)
    severity = serializers.ChoiceField(choices=Event.Severity.choices, required=False)
    unread = serializers.BooleanField(default=False)
    before = serializers.CharField(max_length=_MOST_PLACE, required=False)
    after = serializers.CharField(max_length=_MOST_PLACE, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=INBOX_PAGE, default=INBOX_PAGE)


class InboxEntrySerializer(serializers.Serializer[dict[str, object]]):
    """One entry, with the number by which its feed knows it."""

    audience = serializers.CharField()
    seq = serializers.IntegerField()
    kind = serializers.CharField()
    severity = serializers.CharField(allow_blank=True)
    data = serializers.JSONField()  # type: ignore[assignment]  # the framework has an attribute of that name
    at = serializers.DateTimeField()
    unread = serializers.BooleanField()


class InboxSerializer(serializers.Serializer[dict[str, object]]):
    """A page of entries, newest first; `unread` counts them all, whatever the filters show."""

    unread = serializers.IntegerField()
    older = serializers.CharField(allow_null=True, help_text="What `before` is on the next page.")
    newer = serializers.CharField(allow_null=True, help_text="What `after` is on the page before.")
    entries = InboxEntrySerializer(many=True)


class InboxView(APIView):
    """What the caller was told: their own messages, and alerts if they may see those."""

    capabilities: ClassVar[dict[str, str]] = {"GET": SIGNED_IN}

    @extend_schema(parameters=[InboxQuerySerializer], responses=InboxSerializer)
    def get(self, request: Request) -> Response:
        query = InboxQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        user_id = person_id_of(request)
        own = of_user(user_id) if user_id is not None else ""
        where = {}
        for name in ("before", "after"):
            place = places.read(asked[name], own) if name in asked else None
            if place is None and name in asked:
                told = {name: ["No page of ours is called so; take it from an answer."]}
                raise serializers.ValidationError(told)
            where[name] = place
        wanted = Wanted(asked.get("kind", ""), asked.get("severity", ""), asked["unread"])
        found = inbox(_audiences(request, user_id), user_id, wanted, limit=asked["limit"], **where)
        answer = {
            "unread": found.unread,
            "older": places.written(found.older) if found.older else None,
            "newer": places.written(found.newer) if found.newer else None,
            "entries": [_told(line) for line in found.lines],
        }
        return Response(answer, headers={"Cache-Control": "no-store"})


class ReadSerializer(serializers.Serializer[dict[str, object]]):
    """How far one feed was read: everything up to this number."""

    audience = serializers.CharField(max_length=_MOST_NAME)
    seq = serializers.IntegerField(min_value=0, max_value=_LAST)


class ReadView(APIView):
    """Note how far the caller has read a feed; it never goes back."""

    capabilities: ClassVar[dict[str, str]] = {"POST": SIGNED_IN}

    @extend_schema(request=ReadSerializer, responses=ReadSerializer)
    def post(self, request: Request) -> Response:
        asked = ReadSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        audience, seq = asked.validated_data["audience"], asked.validated_data["seq"]
        user_id = person_id_of(request)
        granted = frozenset(name for name in ASKED if request.user.has_perm(name))
        if user_id is None or audience not in audiences_of(allowed_topics(granted), user_id):
            message = "There is no such audience, or it is not yours to read."
            raise ForbiddenError(message)
        now = mark_read(user_id=user_id, audience=audience, seq=seq)
        return Response({"audience": audience, "seq": now})


def _audiences(request: Request, user_id: UUID | None) -> list[str]:
    granted = frozenset(name for name in ASKED if request.user.has_perm(name))
    return inbox_audiences(audiences_of(allowed_topics(granted), user_id), user_id)


def _told(line: Line) -> dict[str, object]:
    entry = line.entry
    return {
        "audience": entry.audience,
        "seq": entry.seq,
        "kind": entry.kind,
        "severity": line.severity,
        "data": entry.data,
        "at": entry.at.isoformat(timespec="milliseconds"),
        "unread": line.is_unread,
    }
