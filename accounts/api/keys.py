"""API keys by API: one's own, and for admins everybody's (SPEC A6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import actor_of, person_id_of
from accounts.models import APIKey
from accounts.scopes import SCOPES
from accounts.services import api_keys, stepup
from core.errors import ForbiddenError
from core.rest.pagination import KeysetPagination
from core.rest.permissions import SIGNED_IN
from core.rest.serializers import StrictSerializer

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.models import QuerySet
    from rest_framework.request import Request


_SCOPES = ", ".join(sorted(SCOPES))


class PeopleOnlyError(ForbiddenError):
    """The route is for people: a key never manages keys, users or second factors."""

    code = "people-only"
    title = "Only for people"


class APIKeySerializer(serializers.ModelSerializer[APIKey]):
    """What can be told about a key; never the key."""

    owner = serializers.CharField(source="owner.username", read_only=True)

    class Meta:
        model = APIKey
        fields = [
            "id",
            "key_id",
            "label",
            "owner",
            "scopes",
            "networks",
            "revoke_unused",
            "created_at",
            "expires_at",
            "last_used_at",
            "last_used_address",
            "rotated_from",
            "revoked_at",
            "revoked_by",
            "revoked_reason",
        ]
        read_only_fields = fields


class NewAPIKeySerializer(StrictSerializer[Any]):
    """What a new key shall be."""

    label = serializers.CharField(  # type: ignore[assignment]  # also the name of what a field shows
        max_length=80, help_text="Which program uses it, and where."
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField(
            choices=sorted(SCOPES),
            error_messages={
                "invalid_choice": f'There is no scope "{{input}}". There are {_SCOPES}.'
            },
        ),
        min_length=1,
        max_length=len(SCOPES),
    )
    networks = serializers.ListField(
        child=serializers.CharField(max_length=60),
        required=False,
        max_length=100,
        help_text="Networks that it may be used from; none means from anywhere.",
    )
    days = serializers.IntegerField(
        min_value=1,
        max_value=api_keys.LONGEST_DAYS,
        required=False,
        default=api_keys.DEFAULT_DAYS,
        help_text="For how long it holds.",
    )
    revoke_unused = serializers.BooleanField(
        required=False, default=False, help_text="Revoke it once it was not used for 90 days."
    )


class RotateAPIKeySerializer(StrictSerializer[Any]):
    """How long the old key works on."""

    grace_hours = serializers.IntegerField(
        min_value=0,
        max_value=api_keys.LONGEST_GRACE_HOURS,
        required=False,
        default=api_keys.GRACE_HOURS,
    )


class ShownAPIKeySerializer(APIKeySerializer):
    """A new key with its text, which is told this once."""

    key = serializers.CharField(read_only=True)

    class Meta(APIKeySerializer.Meta):
        fields = [*APIKeySerializer.Meta.fields, "key"]


class RevokeSerializer(StrictSerializer[Any]):
    """Why a key ends."""

    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=200)


def person_of(request: Request) -> UUID:
    """Return who asks; raises PeopleOnlyError for a key."""
    user_id = person_id_of(request)
    if user_id is None:
        message = "A key cannot do this. Sign in as yourself."
        raise PeopleOnlyError(message)
    return user_id


def _shown(key: APIKey, raw: str) -> Response:
    answer = Response({**APIKeySerializer(key).data, "key": raw}, status=201)
    answer["Cache-Control"] = "no-store"
    return answer


class OwnKeysView(generics.ListAPIView[APIKey]):
    """One's own API keys."""

    queryset = APIKey.objects.none()
    serializer_class = APIKeySerializer
    pagination_class = KeysetPagination
    capabilities: ClassVar = {"GET": SIGNED_IN, "POST": "accounts.add_apikey"}

    def get_queryset(self) -> QuerySet[APIKey]:
        """Return the asker's keys; nobody else's."""
        return APIKey.objects.filter(owner_id=person_of(self.request)).select_related("owner")

    @extend_schema(
        description="Make a key. Its text is in this answer and nowhere else.",
        request=NewAPIKeySerializer,
        responses={201: ShownAPIKeySerializer},
    )
    def post(self, request: Request) -> Response:
        """Make a key."""
        owner_id = person_of(request)
        asked = NewAPIKeySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        stepup.require(request)
        key, raw = api_keys.create(
            actor=actor_of(request), owner_id=owner_id, **asked.validated_data
        )
        return _shown(key, raw)


class OwnKeyView(APIView):
    """One of one's own API keys."""

    capabilities: ClassVar = {"DELETE": SIGNED_IN}

    @extend_schema(description="Revoke one's own key at once.", responses={204: None})
    def delete(self, request: Request, key_id: UUID) -> Response:
        """Revoke the key."""
        api_keys.revoke(
            actor=actor_of(request),
            key_id=key_id,
            owner_id=person_of(request),
            reason="Revoked by its owner.",
        )
        return Response(status=204)


class RotateKeyView(APIView):
    """Replace one of one's own API keys."""

    capabilities: ClassVar = {"POST": "accounts.add_apikey"}

    @extend_schema(
        description="Make a key that replaces this one, which works on for the grace period. "
        "The new text is in this answer and nowhere else.",
        request=RotateAPIKeySerializer,
        responses={201: ShownAPIKeySerializer},
    )
    def post(self, request: Request, key_id: UUID) -> Response:
        """Rotate the key."""
        owner_id = person_of(request)
        asked = RotateAPIKeySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        stepup.require(request)
        key, raw = api_keys.rotate(
            actor=actor_of(request),
            key_id=key_id,
            owner_id=owner_id,
            grace_hours=asked.validated_data["grace_hours"],
        )
        return _shown(key, raw)


@extend_schema(
    parameters=[
        OpenApiParameter("owner", str, description="User name of the owner."),
        OpenApiParameter("state", str, enum=["valid", "ended"]),
    ]
)
class AllKeysView(generics.ListAPIView[APIKey]):
    """Everybody's API keys, for admins and auditors."""

    queryset = APIKey.objects.none()
    serializer_class = APIKeySerializer
    pagination_class = KeysetPagination
    capabilities: ClassVar = {"GET": "accounts.view_apikey"}

    def get_queryset(self) -> QuerySet[APIKey]:
        """Return the keys that the query parameters describe."""
        return APIKey.objects.described(
            owner=self.request.query_params.get("owner", ""),
            state=self.request.query_params.get("state", ""),
        ).select_related("owner")


class AnyKeyView(APIView):
    """Anybody's API key, for admins."""

    capabilities: ClassVar = {"DELETE": "accounts.revoke_apikey"}

    @extend_schema(
        description="Revoke anybody's key at once.",
        request=RevokeSerializer,
        responses={204: None},
    )
    def delete(self, request: Request, key_id: UUID) -> Response:
        """Revoke the key."""
        person_of(request)
        asked = RevokeSerializer(data=request.data or {})
        asked.is_valid(raise_exception=True)
        stepup.require(request)
        api_keys.revoke(
            actor=actor_of(request), key_id=key_id, reason=asked.validated_data["reason"]
        )
        return Response(status=204)
