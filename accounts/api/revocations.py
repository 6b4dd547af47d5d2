"""End other people's sessions and tokens by API, and see what was ended (SPEC A3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import generics, serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import actor_of
from accounts.models import AccessChange, UserSession
from accounts.selectors import sign_ins
from accounts.services import revocation, sessions, tokens
from core.rest import filters
from core.rest.pagination import KeysetPagination
from core.rest.serializers import StrictSerializer

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request

_ENDS = (
    AccessChange.Kind.SESSION,
    AccessChange.Kind.TOKEN,
    AccessChange.Kind.USER,
    AccessChange.Kind.SIGNING_KEY,
    AccessChange.Kind.API_KEY,
    AccessChange.Kind.DASHBOARD_KEY,
    AccessChange.Kind.ALL,
)
_HEX = r"^[0-9a-f]{32}$"


class RevokeSerializer(StrictSerializer[Any]):
    """What to end: exactly one of token, jti and session."""

    token = serializers.CharField(
        required=False,
        max_length=4_096,
        help_text="An access token ends; a refresh token's session ends.",
    )
    jti = serializers.RegexField(_HEX, required=False, help_text="The id of an access token.")
    session = serializers.UUIDField(required=False, help_text="The id of a session.")
    reason = serializers.CharField(max_length=200)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse none and more than one."""
        if sum(name in attrs for name in ("token", "jti", "session")) != 1:
            message = "Give one of token, jti and session."
            raise serializers.ValidationError(message)
        return attrs


class RevokeUserSerializer(StrictSerializer[Any]):
    """Whose sign-ins to end: the id or the name."""

    user = serializers.CharField(max_length=150, help_text="The person's id or name.")
    reason = serializers.CharField(max_length=200)


class AccessChangeSerializer(serializers.ModelSerializer[AccessChange]):
    """One revocation."""

    class Meta:
        model = AccessChange
        fields = ["seq", "kind", "value", "created_at", "not_after", "actor", "reason"]
        read_only_fields = fields


class RevocationPagination(KeysetPagination):
    """Newest first."""

    ordering: tuple[str, ...] = ("-seq",)


class AnySessionSerializer(serializers.ModelSerializer[UserSession]):
    """One sign-in of anybody."""

    user = serializers.UUIDField(source="user_id")
    username = serializers.CharField(source="user.username")
    device = serializers.CharField(source="device_name")
    methods = serializers.SerializerMethodField()

    class Meta:
        model = UserSession
        fields = [
            "id",
            "user",
            "username",
            "kind",
            "device",
            "user_agent",
            "first_address",
            "last_address",
            "created_at",
            "last_seen_at",
            "expires_at",
            "methods",
        ]
        read_only_fields = fields

    def get_methods(self, session: UserSession) -> list[str]:
        """Return how the person proved who they are."""
        return [method for method in session.methods.split(",") if method]


class AllSessionsView(generics.ListAPIView[UserSession]):
    """Who is signed in."""

    queryset = UserSession.objects.select_related("user")
    serializer_class = AnySessionSerializer
    pagination_class = KeysetPagination
    capabilities: ClassVar = {"GET": "accounts.view_usersession"}

    @extend_schema(
        operation_id="auth_admin_sessions",
        parameters=[OpenApiParameter("user", str, description="Only of this person: id or name.")],
        description="The sessions of everybody that hold, the newest first.",
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401  # the base's signature
        """List them."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[UserSession]:
        """Narrow the rows to one person, if one is named; nobody of that name is 404."""
        rows = super().get_queryset().filter(sign_ins.holds())
        name = self.request.query_params.get("user", "")
        return rows.filter(user=sessions.person_called(name)) if name else rows


class RevokeView(APIView):
    """End a token or a session of anybody."""

    capabilities: ClassVar = {"POST": "accounts.revoke_usersession"}

    @extend_schema(
        request=RevokeSerializer,
        responses={204: None},
        description="End one token or one session of anybody; every process knows within a second.",
    )
    def post(self, request: Request) -> Response:
        """End it."""
        asked = RevokeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        data = asked.validated_data
        tokens.revoke(
            actor=actor_of(request),
            token=data.get("token", ""),
            jti=data.get("jti", ""),
            session_id=data.get("session"),
            reason=data["reason"],
        )
        return Response(status=204)


class RevokeUserView(APIView):
    """End all sign-ins of a person."""

    capabilities: ClassVar = {"POST": "accounts.revoke_usersession"}

    @extend_schema(
        request=RevokeUserSerializer,
        responses=inline_serializer("RevokedUser", {"sessions": serializers.IntegerField()}),
        description="End all sign-ins of a person; tells how many there were.",
    )
    def post(self, request: Request) -> Response:
        """End them."""
        asked = RevokeUserSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        ended = revocation.end_all(
            actor=actor_of(request),
            user_id=sessions.person_called(asked.validated_data["user"]),
            reason=asked.validated_data["reason"],
        )
        return Response({"sessions": ended})


class RevocationsView(generics.ListAPIView[AccessChange]):
    """What was ended and could still be valid otherwise."""

    queryset = AccessChange.objects.filter(kind__in=_ENDS)
    serializer_class = AccessChangeSerializer
    pagination_class = RevocationPagination
    capabilities: ClassVar = {"GET": "accounts.view_accesschange"}

    @extend_schema(
        description="What was ended and could still be valid otherwise, newest first; `kind` and "
        "`value` compare exactly."
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401  # the base's signature
        """List it."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[AccessChange]:
        """Narrow the rows by the query parameters."""
        found = filters.texts(self.request, kind="kind", value="value")
        return super().get_queryset().filter(not_after__gt=timezone.now(), **found)
