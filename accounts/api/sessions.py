"""One's own account and sessions by API (SPEC A2, A3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.auth import logout
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import actor_of, person_id_of
from accounts.api.keys import PeopleOnlyError
from accounts.models import User, UserSession
from accounts.roles import ROLES
from accounts.selectors import access, sign_ins
from accounts.services import revocation, sessions, tokens
from core.errors import NotFoundError
from core.rest.permissions import PUBLIC, SIGNED_IN
from core.rest.serializers import StrictSerializer

if TYPE_CHECKING:
    from uuid import UUID

    from rest_framework.request import Request


class RefreshedSerializer(serializers.Serializer[Any]):
    """The next pair of tokens."""

    access = serializers.CharField()
    refresh = serializers.CharField(help_text="Good for one exchange; keep the newest.")
    token_type = serializers.CharField(default="Bearer")
    expires_in = serializers.IntegerField(help_text="Seconds that the access token is valid.")
    session = serializers.UUIDField(source="session.pk")
    session_expires_at = serializers.DateTimeField(source="session.expires_at")


class RefreshSerializer(StrictSerializer[Any]):
    """The newest refresh token."""

    refresh = serializers.CharField(max_length=4_096, write_only=True)


class PersonSerializer(serializers.Serializer[Any]):
    """Who is signed in, and what they may do."""

    kind = serializers.ChoiceField(choices=["user", "api_key", "dashboard_key"])
    id = serializers.CharField()
    name = serializers.CharField()
    email = serializers.CharField(required=False)
    roles = serializers.ListField(child=serializers.CharField(), required=False)
    permissions = serializers.ListField(child=serializers.CharField())
    methods = serializers.ListField(child=serializers.CharField(), required=False)
    session = serializers.UUIDField(required=False)
    must_change_password = serializers.BooleanField(required=False)
    second_factor_required = serializers.BooleanField(required=False)


class SessionSerializer(serializers.ModelSerializer[UserSession]):
    """One sign-in."""

    current = serializers.SerializerMethodField()
    methods = serializers.SerializerMethodField()

    class Meta:
        model = UserSession
        fields = [
            "id",
            "kind",
            "device",
            "user_agent",
            "first_address",
            "last_address",
            "created_at",
            "last_seen_at",
            "expires_at",
            "methods",
            "current",
        ]
        read_only_fields = fields

    def get_current(self, session: UserSession) -> bool:
        """Tell whether the request came with this session."""
        return bool(session.pk == self.context["current"])

    def get_methods(self, session: UserSession) -> list[str]:
        """Return how the person proved who they are."""
        return [method for method in session.methods.split(",") if method]


class RefreshView(APIView):
    """Exchange a refresh token."""

    # The access token beside it has mostly run out: it is not looked at.
    authentication_classes = ()
    capabilities: ClassVar = {"POST": PUBLIC}

    @extend_schema(
        operation_id="auth_refresh",
        request=RefreshSerializer,
        responses=RefreshedSerializer,
        auth=[],
        description="Exchange a refresh token for the next one and an access token. Each is good "
        "once; the one before gives the same answer for 10 seconds. An older one ends the session.",
    )
    def post(self, request: Request) -> Response:
        """Exchange."""
        asked = RefreshSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        answer = Response(RefreshedSerializer(tokens.refresh(asked.validated_data["refresh"])).data)
        answer["Cache-Control"] = "no-store"
        return answer


class LogoutView(APIView):
    """Sign out."""

    capabilities: ClassVar = {"POST": SIGNED_IN}

    @extend_schema(
        operation_id="auth_logout",
        request=None,
        responses={204: None},
        description="End the session that the request came with, its tokens and its cookie.",
    )
    def post(self, request: Request) -> Response:
        """End the session."""
        _person_of(request)
        if isinstance(request.user, User):
            logout(request._request)  # noqa: SLF001  # Django's own request
        else:
            sessions.sign_out(request, actor=actor_of(request))
        return Response(status=204)


class MeView(APIView):
    """Who one is."""

    capabilities: ClassVar = {"GET": SIGNED_IN}

    @extend_schema(
        operation_id="auth_me",
        responses=PersonSerializer,
        description="Who the credential stands for, with its rights.",
    )
    def get(self, request: Request) -> Response:
        """Tell who is asking."""
        actor = actor_of(request)
        user_id = person_id_of(request)
        if user_id is None:
            names = sorted(name for name in _known_permissions() if request.user.has_perm(name))
            told: dict[str, Any] = {
                "kind": str(actor.kind),
                "id": actor.key,
                "name": actor.name,
                "permissions": names,
            }
            return Response(PersonSerializer(told).data)
        person = access.snapshot(user_id)
        session = sessions.session_of(request)
        if person is None or session is None:
            message = "There is no such account any more."
            raise NotFoundError(message)
        told = {
            "kind": "user",
            "id": str(user_id),
            "name": person.username,
            "email": User.objects.values_list("email", flat=True).get(pk=user_id),
            "roles": sorted(person.roles),
            "permissions": sorted(
                _known_permissions() if person.is_superuser else person.permissions
            ),
            "methods": [method for method in session.methods.split(",") if method],
            "session": session.pk,
            "must_change_password": person.must_change_password,
            "second_factor_required": person.mfa_required,
        }
        return Response(PersonSerializer(told).data)


class SessionsView(APIView):
    """One's own sessions."""

    capabilities: ClassVar = {"GET": SIGNED_IN, "DELETE": SIGNED_IN}

    @extend_schema(
        operation_id="auth_sessions",
        responses=SessionSerializer(many=True),
        description="One's own sessions that hold.",
    )
    def get(self, request: Request) -> Response:
        """List them."""
        current = sessions.session_of(request)
        context = {"current": current.pk if current is not None else None}
        rows = sign_ins.holding().filter(user=_person_of(request))
        return Response(SessionSerializer(rows, many=True, context=context).data)

    @extend_schema(
        operation_id="auth_sessions_end",
        parameters=[
            OpenApiParameter(
                "others", bool, description="true: keep the session that the request came with."
            )
        ],
        responses={204: None},
        description="End all of one's sessions, on every device.",
    )
    def delete(self, request: Request) -> Response:
        """End them."""
        user_id = _person_of(request)
        current = sessions.session_of(request)
        keeps = request.query_params.get("others") == "true" and current is not None
        revocation.end_all(
            actor=actor_of(request),
            user_id=user_id,
            reason="Ended by their owner.",
            keep=current.pk if keeps and current is not None else None,
        )
        return Response(status=204)


class SessionView(APIView):
    """One of one's own sessions."""

    capabilities: ClassVar = {"DELETE": SIGNED_IN}

    @extend_schema(
        operation_id="auth_session_end",
        responses={204: None},
        description="End one of one's own sessions.",
    )
    def delete(self, request: Request, session_id: UUID) -> Response:
        """End it."""
        _person_of(request)
        sessions.end_own(actor=actor_of(request), session_id=session_id)
        return Response(status=204)


def _person_of(request: Request) -> UUID:
    user_id = person_id_of(request)
    if user_id is None:
        message = "A key has no sessions. Sign in as a person."
        raise PeopleOnlyError(message)
    return user_id


def _known_permissions() -> set[str]:
    return {name for rights in ROLES.values() for name in rights}
