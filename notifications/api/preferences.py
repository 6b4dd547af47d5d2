"""What a person is told, by API: their own choice and their own addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import actor_of, person_id_of
from core.errors import NotFoundError
from core.rest.permissions import SIGNED_IN
from core.rest.serializers import StrictSerializer
from notifications.api.fields import LocalTimeField
from notifications.models import Contact, Event, Preference
from notifications.services import preferences

if TYPE_CHECKING:
    from uuid import UUID

    from rest_framework.request import Request


class PreferenceSerializer(StrictSerializer[Any]):
    """What a person has chosen; whoever has chosen nothing has the defaults."""

    min_severity = serializers.ChoiceField(choices=Event.Severity.choices, required=False)
    subscribes = serializers.BooleanField(required=False)
    quiet_from = LocalTimeField(required=False, allow_null=True)
    quiet_until = LocalTimeField(required=False, allow_null=True)
    quiet_days: Any = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6), required=False, max_length=7
    )
    time_zone = serializers.CharField(max_length=64, required=False)


class ContactSerializer(StrictSerializer[Any]):
    """One way to reach the person; the address of mail is that of the account."""

    channel = serializers.UUIDField(source="channel_id", read_only=True)
    name = serializers.CharField(source="channel.name", read_only=True)
    address = serializers.CharField(max_length=200, required=False, allow_blank=True)
    enabled = serializers.BooleanField(required=False)


class PreferencesView(APIView):
    """The caller's own preferences."""

    capabilities: ClassVar = {"GET": SIGNED_IN, "PATCH": SIGNED_IN}

    @extend_schema(responses=PreferenceSerializer)
    def get(self, request: Request) -> Response:
        """Return what the caller has chosen."""
        user_id = _person(request)
        found = Preference.objects.filter(user=user_id).first() or Preference(user_id=user_id)
        return Response(PreferenceSerializer(found).data)

    @extend_schema(request=PreferenceSerializer, responses=PreferenceSerializer)
    def patch(self, request: Request) -> Response:
        """Change what is given."""
        asked = PreferenceSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        chosen = preferences.choose(
            actor=actor_of(request), user_id=_person(request), **asked.validated_data
        )
        return Response(PreferenceSerializer(chosen).data)


class ContactsView(APIView):
    """The caller's own addresses."""

    capabilities: ClassVar = {"GET": SIGNED_IN}

    @extend_schema(responses=ContactSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Return the addresses that the caller has chosen."""
        rows = Contact.objects.filter(user=_person(request)).select_related("channel")
        return Response(ContactSerializer(rows.defer("channel__config"), many=True).data)


class ContactView(APIView):
    """One of the caller's own addresses, by the channel's key."""

    capabilities: ClassVar = {"PUT": SIGNED_IN, "DELETE": SIGNED_IN}

    @extend_schema(request=ContactSerializer, responses=ContactSerializer)
    def put(self, request: Request, channel_id: UUID) -> Response:
        """Say how the caller is reached by a channel, or that they are not."""
        asked = ContactSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        saved = preferences.set_contact(
            actor=actor_of(request),
            user_id=_person(request),
            channel_id=channel_id,
            **asked.validated_data,
        )
        return Response(ContactSerializer(saved).data)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, channel_id: UUID) -> Response:
        """Forget an address."""
        preferences.remove_contact(
            actor=actor_of(request), user_id=_person(request), channel_id=channel_id
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


def _person(request: Request) -> UUID:
    """Return who asks in person; raises NotFoundError for a key, which has no preferences."""
    user_id = person_id_of(request)
    if user_id is None:
        message = "Only a person has preferences; a key has none. Sign in as yourself."
        raise NotFoundError(message)
    return user_id
