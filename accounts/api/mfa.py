"""One's own second factors by API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import segno
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import actor_of
from accounts.api.login import (
    AnswerField,
    ChallengeSerializer,
    SecretField,
    given,
    person_and_session,
)
from accounts.engine import totp as codes
from accounts.models import Passkey, TOTPDevice
from accounts.services import mfa, passkeys, recovery, stepup, totp
from core.errors import InvalidInputError
from core.rest.permissions import SIGNED_IN
from core.rest.serializers import StrictSerializer

if TYPE_CHECKING:
    from uuid import UUID

    from rest_framework.request import Request

    from accounts.models import User, UserSession


class DeviceSerializer(serializers.Serializer[Any]):
    """A second factor; nothing of its secret."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=["totp", "passkey"])
    label = serializers.CharField()  # type: ignore[assignment]  # also the name of what a field shows
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


class DevicesSerializer(serializers.Serializer[Any]):
    """All second factors of the person."""

    devices = DeviceSerializer(many=True)
    recovery_codes_left = serializers.IntegerField()
    required = serializers.BooleanField()  # type: ignore[assignment]  # the same
    enrolled = serializers.BooleanField()


class NewAppSerializer(serializers.Serializer[Any]):
    """A seed that waits for its first code."""

    token = serializers.CharField()
    secret = serializers.CharField()
    otpauth_url = serializers.CharField()
    qr_svg = serializers.CharField()


class ConfirmSerializer(StrictSerializer[Any]):
    """The first code of a new app."""

    token = SecretField(max_length=100)
    code = SecretField(max_length=64)
    label = serializers.CharField(  # type: ignore[assignment]  # the same
        required=False, default="", allow_blank=True, max_length=60
    )


class FinishSerializer(StrictSerializer[Any]):
    """What the browser made."""

    token = SecretField(max_length=100)
    response = AnswerField()
    label = serializers.CharField(  # type: ignore[assignment]  # the same
        required=False, default="", allow_blank=True, max_length=60
    )


class AddedSerializer(serializers.Serializer[Any]):
    """The new factor; with the first one, recovery codes, told this once."""

    device = DeviceSerializer()
    recovery_codes = serializers.ListField(child=serializers.CharField())


class RenameSerializer(StrictSerializer[Any]):
    """Another name."""

    label = serializers.CharField(max_length=60)  # type: ignore[assignment]  # the same


class CodesSerializer(serializers.Serializer[Any]):
    """Recovery codes, told this once."""

    recovery_codes = serializers.ListField(child=serializers.CharField())


class DeviceListView(APIView):
    """One's own second factors."""

    capabilities: ClassVar = {"GET": SIGNED_IN}

    @extend_schema(operation_id="auth_devices", responses=DevicesSerializer)
    def get(self, request: Request) -> Response:
        user, _session = person_and_session(request)
        now = mfa.status(user)
        apps = TOTPDevice.objects.filter(user=user).exclude(confirmed_at=None)
        return Response(
            {
                "devices": [
                    *[_told(app) for app in apps.order_by("created_at")],
                    *[_told(key) for key in Passkey.objects.filter(user=user)],
                ],
                "recovery_codes_left": now.recovery_left,
                "required": now.required,
                "enrolled": now.enrolled,
            }
        )


class DeviceView(APIView):
    """One of one's own second factors."""

    capabilities: ClassVar = {"PATCH": SIGNED_IN, "DELETE": SIGNED_IN}

    @extend_schema(
        operation_id="auth_device_rename", request=RenameSerializer, responses=DeviceSerializer
    )
    def patch(self, request: Request, device_id: UUID) -> Response:
        """Give one of one's own second factors another name."""
        label = given(RenameSerializer, request)["label"]
        user, _session = person_and_session(request)
        mfa.rename(actor=actor_of(request), user=user, device_id=device_id, label=label)
        return Response(_told(mfa.device_of(user, device_id)))

    @extend_schema(operation_id="auth_device_remove", responses={204: None})
    def delete(self, request: Request, device_id: UUID) -> Response:
        """Remove one of one's own second factors; all other sign-ins end."""
        user, session = _proven(request)
        mfa.remove(actor=actor_of(request), user=user, device_id=device_id, keep=session.pk)
        return Response(status=status.HTTP_204_NO_CONTENT)


class AppView(APIView):
    """Begin to add an authenticator app."""

    capabilities: ClassVar = {"POST": SIGNED_IN}
    throttle_limit = 30

    @extend_schema(operation_id="auth_totp_begin", request=None, responses=NewAppSerializer)
    def post(self, request: Request) -> Response:
        user, session = _proven(request)
        token, seed = totp.begin(user=user, session=session.pk)
        address = codes.address(seed, issuer=totp.ISSUER, name=user.username)
        drawn = segno.make(address, micro=False).svg_inline(scale=4, dark="#000", light="#fff")
        return Response(
            {
                "token": token,
                "secret": codes.written(seed).replace(" ", ""),
                "otpauth_url": address,
                "qr_svg": drawn,
            },
            headers={"Cache-Control": "no-store"},
        )


class AppConfirmView(APIView):
    """Add the app with its first code."""

    capabilities: ClassVar = {"POST": SIGNED_IN}
    throttle_limit = 30

    @extend_schema(
        operation_id="auth_totp_confirm",
        request=ConfirmSerializer,
        responses={201: AddedSerializer},
    )
    def post(self, request: Request) -> Response:
        asked = given(ConfirmSerializer, request)
        user, session = _proven(request)
        device = totp.confirm(actor=actor_of(request), user=user, session=session.pk, **asked)
        return _added(request, user, session, device, "otp")


class PasskeyRegisterView(APIView):
    """Begin to add a passkey."""

    capabilities: ClassVar = {"POST": SIGNED_IN}
    throttle_limit = 30

    @extend_schema(
        operation_id="auth_passkey_register", request=None, responses=ChallengeSerializer
    )
    def post(self, request: Request) -> Response:
        user, session = _proven(request)
        rp = passkeys.party_of(request)
        token, options = passkeys.begin(user=user, session=session.pk, rp=rp)
        return Response({"token": token, "options": options})


class PasskeyFinishView(APIView):
    """Add the passkey that the browser made."""

    capabilities: ClassVar = {"POST": SIGNED_IN}
    throttle_limit = 30

    @extend_schema(
        operation_id="auth_passkey_finish",
        request=FinishSerializer,
        responses={201: AddedSerializer},
    )
    def post(self, request: Request) -> Response:
        asked = given(FinishSerializer, request)
        user, session = _proven(request)
        device = passkeys.finish(
            actor=actor_of(request),
            user=user,
            session=session.pk,
            rp=passkeys.party_of(request),
            **asked,
        )
        return _added(request, user, session, device, "hwk")


class RecoveryCodesView(APIView):
    """Ten new recovery codes; the old ones work no more."""

    capabilities: ClassVar = {"POST": SIGNED_IN}
    throttle_limit = 30

    @extend_schema(
        operation_id="auth_recovery_codes", request=None, responses={201: CodesSerializer}
    )
    def post(self, request: Request) -> Response:
        user, _session = _proven(request)
        if not mfa.status(user).enrolled:
            message = "Recovery codes stand in for a second factor. Add one first."
            raise InvalidInputError(message)
        made = recovery.renew(actor=actor_of(request), user=user)
        return Response(
            {"recovery_codes": made},
            status=status.HTTP_201_CREATED,
            headers={"Cache-Control": "no-store"},
        )


def _proven(request: Request) -> tuple[User, UserSession]:
    """Return who is there in person, with a fresh proof of it."""
    found = person_and_session(request)
    stepup.require(request)
    return found


def _added(
    request: Request,
    user: User,
    session: UserSession,
    device: TOTPDevice | Passkey,
    method: str,
) -> Response:
    stepup.note(user=user, session=session, method=method)
    made = mfa.codes_after_first(actor=actor_of(request), user=user)
    return Response(
        {"device": _told(device), "recovery_codes": made},
        status=status.HTTP_201_CREATED,
        headers={"Cache-Control": "no-store"},
    )


def _told(device: TOTPDevice | Passkey) -> dict[str, object]:
    return {
        "id": str(device.pk),
        "kind": "totp" if isinstance(device, TOTPDevice) else "passkey",
        "label": device.label,
        "created_at": device.created_at,
        "last_used_at": device.last_used_at,
    }
