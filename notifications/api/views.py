"""Messages and channels by API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ReadOnlyModelViewSet

from accounts.actors import actor_of
from core.rest.pagination import KeysetPagination
from notifications.api.serializers import (
    AnswerSerializer,
    ChannelSerializer,
    CreatedChannelSerializer,
    FilterSerializer,
    KindSerializer,
    NotificationDetailSerializer,
    NotificationSerializer,
    SecretSerializer,
)
from notifications.engine.kinds import KINDS
from notifications.models import Channel, Notification
from notifications.services import channels, outbox, testing

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.pagination import CursorPagination
    from rest_framework.request import Request

_READ = "notifications.view_notification"
_RESEND = "notifications.resend_notification"
_CHANGE = "notifications.change_channel"


class OutboxPagination(KeysetPagination):
    """Newest first; ids are unique and rise with time."""

    ordering: tuple[str, ...] = ("-id",)


@extend_schema_view(
    retrieve=extend_schema(description="One message with its tries."),
)
class NotificationViewSet(ReadOnlyModelViewSet[Notification]):
    """The outbox, newest first; `state`, `severity`, `channel` and `event` narrow the list."""

    queryset = Notification.objects.select_related("channel").defer("channel__config")
    serializer_class = NotificationSerializer
    pagination_class: type[CursorPagination] = OutboxPagination
    lookup_value_regex = "[0-9]{1,18}"
    capabilities: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "retry": _RESEND,
        "resend": _RESEND,
        "cancel": _RESEND,
        "set_aside": _RESEND,
    }

    def get_queryset(self) -> QuerySet[Notification]:
        rows = super().get_queryset()
        if self.action != "list":
            return rows.prefetch_related("history")
        asked = FilterSerializer(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        # The snapshot is most of a row, and a list does not show it.
        return rows.select_related(None).defer("payload").filter(**asked.validated_data)

    def get_serializer_class(self) -> type[NotificationSerializer]:
        return NotificationSerializer if self.action == "list" else NotificationDetailSerializer

    @extend_schema(parameters=[FilterSerializer])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401  # the framework's signature
        return super().list(request, *args, **kwargs)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Try a dead message again, under the same key."""
        return self._shown(outbox.retry(actor=actor_of(request), notification_id=int(pk)))

    @extend_schema(request=None, responses={201: NotificationDetailSerializer})
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Send a sent message once more, as a new message."""
        repeat = outbox.resend(actor=actor_of(request), notification_id=int(pk))
        return self._shown(repeat, status.HTTP_201_CREATED)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Take back a message that has not left."""
        return self._shown(outbox.cancel(actor=actor_of(request), notification_id=int(pk)))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], url_path="set-aside")
    def set_aside(self, request: Request, pk: str) -> Response:
        """Leave a dead message at that; it is not counted any more."""
        return self._shown(outbox.set_aside(actor=actor_of(request), notification_id=int(pk)))

    def _shown(self, message: Notification, code: int = status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer(message).data, status=code)


@extend_schema_view(
    list=extend_schema(description="Channels with their health; never their secrets."),
    retrieve=extend_schema(description="One channel with its health; never its secrets."),
    destroy=extend_schema(description="Delete a channel; what waits for it is not sent any more."),
)
class ChannelViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[Channel],
):
    """Channels; `config` is write-only."""

    queryset = Channel.objects.all()
    serializer_class = ChannelSerializer
    lookup_value_regex = "[0-9a-f-]{36}"
    capabilities: ClassVar = {
        "list": "notifications.view_channel",
        "retrieve": "notifications.view_channel",
        "create": "notifications.add_channel",
        "update": _CHANGE,
        "partial_update": _CHANGE,
        "destroy": "notifications.delete_channel",
        "kinds": "notifications.view_channel",
        "test": "notifications.test_channel",
        "rotate_secret": _CHANGE,
    }

    @extend_schema(responses={201: CreatedChannelSerializer})
    def create(self, request: Request) -> Response:
        """Add a channel; the answer tells the signing secret of a webhook, this once."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        created = channels.create(actor=actor_of(request), **asked.validated_data)
        told = self.get_serializer(created.channel).data
        told["signing_secret"] = created.signing_secret
        return Response(told, status=status.HTTP_201_CREATED)

    def update(self, request: Request, pk: str) -> Response:
        """Change every setting of a channel."""
        return self._update(request, partial=False)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change the given settings of a channel."""
        return self._update(request, partial=True)

    def _update(self, request: Request, *, partial: bool) -> Response:
        channel = self.get_object()
        asked = self.get_serializer(channel, data=request.data, partial=partial)
        asked.is_valid(raise_exception=True)
        given = {name: value for name, value in asked.validated_data.items() if name != "kind"}
        changed = channels.update(actor=actor_of(request), channel_id=channel.pk, **given)
        return Response(self.get_serializer(changed).data)

    def perform_destroy(self, instance: Channel) -> None:
        channels.delete(actor=actor_of(self.request), channel_id=instance.pk)

    @extend_schema(responses=KindSerializer(many=True))
    @action(detail=False, pagination_class=None)
    def kinds(self, request: Request) -> Response:
        """Tell which kinds of channels there are and what each asks for."""
        return Response(KindSerializer(list(KINDS.values()), many=True).data)

    @extend_schema(request=None, responses=AnswerSerializer(many=True))
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Send a test and return what the receiver's side answers."""
        answers = testing.send_test(actor=actor_of(request), channel_id=self.get_object().pk)
        return Response(AnswerSerializer(answers, many=True).data)

    @extend_schema(request=None, responses=SecretSerializer)
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, pk: str) -> Response:
        """Give a webhook a new signing secret and tell it, this once."""
        secret = channels.rotate_secret(actor=actor_of(request), channel_id=self.get_object().pk)
        return Response({"signing_secret": secret})
