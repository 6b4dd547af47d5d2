"""Signing in by API: password, second step, passkey; the password, and a fresh proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import actor_of, person_id_of
from accounts.api.keys import PeopleOnlyError
from accounts.models import User
from accounts.selectors import access
from accounts.services import (
    challenges,
    login,
    passkeys,
    passwords,
    restrictions,
    sessions,
    stepup,
)
from accounts.services.login import ChallengeNeeded, MfaRequiredError, SignedIn
from core.errors import InvalidInputError, NotSignedInError
from core.rest.errors import MEDIA_TYPE
from core.rest.permissions import PUBLIC, SIGNED_IN
from core.rest.problems import ProblemSerializer
from core.rest.serializers import StrictSerializer

if TYPE_CHECKING:
    from rest_framework.request import Request

    from accounts.models import UserSession

_LONGEST_ANSWER = 20_000


class SecretField(serializers.CharField):
    """A password or a code: taken as it was typed, never shown."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  # the framework's signature
        super().__init__(trim_whitespace=False, write_only=True, **options)


class AnswerField(serializers.JSONField):
    """What an authenticator answered, as PublicKeyCredential.toJSON() gives it."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON
        """Return the object; the values in it are judged with the challenge."""
        if not isinstance(data, dict) or len(str(data)) > _LONGEST_ANSWER:
            message = "Give the credential as an object."
            raise serializers.ValidationError(message)
        return data


class LoginSerializer(StrictSerializer[Any]):
    """Name and password, and a code if there is one at hand; `otp` is another name of `code`."""

    username = serializers.CharField(max_length=1_000, trim_whitespace=False)
    password = SecretField()
    code = SecretField(required=False, default="", allow_blank=True, max_length=64)
    otp = SecretField(required=False, default="", allow_blank=True, max_length=64)
    device = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=100, help_text="Shown in the list."
    )


class MfaSerializer(StrictSerializer[Any]):
    """The second step: a code, a recovery code or a passkey's answer."""

    mfa_token = SecretField(max_length=100)
    code = SecretField(required=False, max_length=64)
    recovery_code = SecretField(required=False, max_length=64)
    response = AnswerField(required=False)
    device = serializers.CharField(required=False, default="", allow_blank=True, max_length=100)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse none and several proofs."""
        if len({"code", "recovery_code", "response"} & attrs.keys()) != 1:
            message = "Give one of code, recovery_code and response."
            raise serializers.ValidationError({"code": [message]})
        return attrs


class PasskeyAnswerSerializer(StrictSerializer[Any]):
    """A passkey's answer, with the token of its challenge."""

    token = SecretField(max_length=challenges.LONGEST_SIGNED)
    response = AnswerField()
    device = serializers.CharField(required=False, default="", allow_blank=True, max_length=100)


class ChallengeSerializer(serializers.Serializer[Any]):
    """What a browser needs to ask for a passkey."""

    token = serializers.CharField()
    options = serializers.JSONField()


class TokensSerializer(serializers.Serializer[Any]):
    """What a program gets; `due` names what must come first, if anything."""

    access = serializers.CharField()
    refresh = serializers.CharField()
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField()
    session = serializers.UUIDField()
    due = serializers.ChoiceField(
        choices=["", "password-change-required", "enrolment-required"], allow_blank=True
    )


class MfaRequiredSerializer(ProblemSerializer):
    """Why nobody is signed in; of the type `mfa-required` also what the second step needs."""

    mfa_token = serializers.CharField(required=False)
    methods = serializers.ListField(child=serializers.CharField(), required=False)
    expires_in = serializers.IntegerField(required=False, help_text="Seconds for the second step.")
    passkey = serializers.JSONField(required=False, help_text="What a browser asks for a passkey.")


class PasswordSerializer(StrictSerializer[Any]):
    """The present password and the new one."""

    password = SecretField()
    new_password = SecretField()


class ReauthSerializer(StrictSerializer[Any]):
    """A fresh proof: the second factor of whoever has one, else the password."""

    password = SecretField(required=False, default="", allow_blank=True)
    code = SecretField(required=False, default="", allow_blank=True, max_length=64)
    token = SecretField(required=False, default="", allow_blank=True, max_length=100)
    response = AnswerField(required=False, default=None)


class ProofSerializer(serializers.Serializer[Any]):
    """For how long the proof holds."""

    expires_in = serializers.IntegerField()


class LoginView(APIView):
    """Exchange name and password for tokens.

    401 `mfa-required` carries `mfa_token`, `methods` and, for passkeys, `passkey`: go on at
    `/api/auth/mfa`. 429 `locked` says in Retry-After when the next attempt is judged.
    """

    authentication_classes = ()
    capabilities: ClassVar = {"POST": PUBLIC}

    @extend_schema(
        operation_id="auth_login",
        request=LoginSerializer,
        responses={
            200: TokensSerializer,
            (401, MEDIA_TYPE): OpenApiResponse(
                MfaRequiredSerializer, "Not signed in, or not yet: `mfa-required`."
            ),
        },
    )
    def post(self, request: Request) -> Response:
        asked = given(LoginSerializer, request)
        found = login.attempt(
            username=asked["username"],
            password=asked["password"],
            place="login",
            rp=passkeys.party_of(request),
            otp=asked["code"] or asked["otp"],
        )
        if isinstance(found, ChallengeNeeded):
            raise MfaRequiredError(found)
        return _tokens(found, asked["device"])


class MfaView(APIView):
    """Prove the second factor that signing in asked for."""

    authentication_classes = ()
    capabilities: ClassVar = {"POST": PUBLIC}

    @extend_schema(operation_id="auth_mfa", request=MfaSerializer, responses=TokensSerializer)
    def post(self, request: Request) -> Response:
        asked = given(MfaSerializer, request)
        found = login.second_step(
            token=asked["mfa_token"],
            rp=passkeys.party_of(request),
            place="login",
            code=asked.get("code") or asked.get("recovery_code") or "",
            response=asked.get("response"),
        )
        return _tokens(found, asked["device"])


class PasskeyBeginView(APIView):
    """Begin signing in by a passkey alone."""

    authentication_classes = ()
    capabilities: ClassVar = {"POST": PUBLIC}

    @extend_schema(operation_id="auth_passkey_begin", request=None, responses=ChallengeSerializer)
    def post(self, request: Request) -> Response:
        token, options = login.begin_by_passkey(rp=passkeys.party_of(request), place="login")
        return Response({"token": token, "options": options})


class PasskeyView(APIView):
    """Sign in by a passkey alone, which must have verified its user."""

    authentication_classes = ()
    capabilities: ClassVar = {"POST": PUBLIC}

    @extend_schema(
        operation_id="auth_passkey", request=PasskeyAnswerSerializer, responses=TokensSerializer
    )
    def post(self, request: Request) -> Response:
        asked = given(PasskeyAnswerSerializer, request)
        found = login.by_passkey(
            token=asked["token"],
            response=asked["response"],
            rp=passkeys.party_of(request),
            place="login",
        )
        return _tokens(found, asked["device"])


class PasswordView(APIView):
    """Choose another password; other sessions of the person end."""

    capabilities: ClassVar = {"POST": SIGNED_IN}
    throttle_limit = 30

    @extend_schema(operation_id="auth_password", request=PasswordSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        asked = given(PasswordSerializer, request)
        user, session = person_and_session(request)
        passwords.refuse_unreadable(asked["new_password"], field="new_password")
        login.confirm_password(user=user, password=asked["password"])
        try:
            passwords.change_own(
                actor=actor_of(request),
                user=user,
                password=asked["new_password"],
                keep=session.pk,
            )
        except InvalidInputError as error:
            errors = {"new_password": error.errors.get("password", [error.message])}
            raise InvalidInputError(error.message, errors=errors) from None
        return Response(status=status.HTTP_204_NO_CONTENT)


class ReauthView(APIView):
    """Prove once more who is there; dangerous acts then pass for five minutes."""

    capabilities: ClassVar = {"POST": SIGNED_IN}
    throttle_limit = 30

    @extend_schema(operation_id="auth_reauth", request=ReauthSerializer, responses=ProofSerializer)
    def post(self, request: Request) -> Response:
        asked = given(ReauthSerializer, request)
        user, session = person_and_session(request)
        stepup.prove(user=user, session=session, rp=passkeys.party_of(request), **asked)
        return Response({"expires_in": stepup.SECONDS})


class ReauthBeginView(APIView):
    """Begin a fresh proof by passkey."""

    capabilities: ClassVar = {"POST": SIGNED_IN}
    throttle_limit = 30

    @extend_schema(operation_id="auth_reauth_begin", request=None, responses=ChallengeSerializer)
    def post(self, request: Request) -> Response:
        user, session = person_and_session(request)
        asked = stepup.ask(user=user, session=session, rp=passkeys.party_of(request))
        if asked is None:
            message = "You have no passkey for this address."
            raise InvalidInputError(message)
        return Response({"token": asked[0], "options": asked[1]})


def person_and_session(request: Request) -> tuple[User, UserSession]:
    """Return who is there in person and their session; raises PeopleOnlyError for keys."""
    person_id = person_id_of(request)
    if person_id is None:
        message = "Only a person who is signed in may do this."
        raise PeopleOnlyError(message)
    session = sessions.session_of(request)
    if session is None:
        message = "Sign in again."
        raise NotSignedInError(message)
    return User.objects.get(pk=person_id), session


def given(serializer: type[StrictSerializer[Any]], request: Request) -> dict[str, Any]:
    """Return what came in, judged by the serializer."""
    sent = serializer(data=request.data)
    sent.is_valid(raise_exception=True)
    found: dict[str, Any] = sent.validated_data
    return found


def _tokens(found: SignedIn, device: str) -> Response:
    made = sessions.begin_api(
        user=found.user, methods=found.methods, mfa_at=found.mfa_at, device=device
    )
    known = access.snapshot(found.user.pk)
    due = restrictions.restriction_of(known, found.methods) if known is not None else None
    return Response(
        {
            "access": made.access,
            "refresh": made.refresh,
            "token_type": "Bearer",
            "expires_in": made.expires_in,
            "session": str(made.session.pk),
            "due": due.code if due is not None else "",
        },
        headers={"Cache-Control": "no-store"},
    )
