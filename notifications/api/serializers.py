"""Messages and channels as the API shows and takes them."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from core.errors import InvalidInputError
from core.rest.serializers import StrictSerializer
from notifications.engine.targets import shown_address
from notifications.models import Channel, DeliveryAttempt, Event, Notification
from notifications.services import channels

# Whoever decides who is told may see the addresses; everybody else sees whose domain it is.
SEES_RECIPIENTS: Final = "notifications.change_channel"

_SETTING: Final[dict[str, str]] = {
    Channel.Kind.WEBHOOK: "url",
    Channel.Kind.EMAIL: "recipients",
}


class AttemptSerializer(serializers.ModelSerializer[DeliveryAttempt]):
    """One attempt."""

    class Meta:
        model = DeliveryAttempt
        fields = [
            "number",
            "started_at",
            "ended_at",
            "outcome",
            "status_code",
            "retry_after_seconds",
            "error_class",
            "detail",
            "excerpt",
        ]


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    """A message in a list."""

    recipient = serializers.SerializerMethodField()

    class Meta:
        model = Notification
        fields = [
            "id",
            "created_at",
            "state",
            "reason",
            "severity",
            "title",
            "channel",
            "channel_name",
            "recipient",
            "attempts",
            "uncertain",
            "next_at",
            "expires_at",
            "sent_at",
            "last_error",
            "idempotency_key",
            "event",
        ]

    def get_recipient(self, message: Notification) -> str:
        """Return the address, or what of it everybody may see."""
        request = self.context["request"]
        if request.user.has_perm(SEES_RECIPIENTS):
            return message.recipient
        return shown_address(message.recipient)


class NotificationDetailSerializer(NotificationSerializer):
    """A message with what it says and its history."""

    payload = serializers.DictField(read_only=True)
    history = AttemptSerializer(many=True, read_only=True)

    class Meta(NotificationSerializer.Meta):
        fields = [*NotificationSerializer.Meta.fields, "provider_ref", "payload", "history"]


class FilterSerializer(serializers.Serializer[Any]):
    """The query parameters of the list."""

    state = serializers.ChoiceField(choices=Notification.State.choices, required=False)
    severity = serializers.ChoiceField(choices=Event.Severity.choices, required=False)
    channel = serializers.UUIDField(required=False)
    event = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)


class ConfigSerializer(StrictSerializer[Any]):
    """Where a channel leads: `url` for a webhook, `recipients` for e-mail."""

    url = serializers.CharField(required=False, max_length=2000)
    recipients = serializers.ListField(
        child=serializers.CharField(max_length=320),
        required=False,
        max_length=channels.MOST_RECIPIENTS,
    )


class ChannelSerializer(StrictSerializer[Channel], serializers.ModelSerializer[Channel]):
    """A channel; its `config` goes in and never comes out, `target` tells what may be known."""

    config = ConfigSerializer(write_only=True)
    health = serializers.ChoiceField(choices=Channel.Health.choices, read_only=True)

    class Meta:
        model = Channel
        fields = [
            "id",
            "kind",
            "name",
            "target",
            "config",
            "enabled",
            "disabled_reason",
            "timeout_seconds",
            "max_parallel",
            "managed_by",
            "health",
            "fails",
            "open_until",
            "last_ok_at",
            "last_error",
            "created_at",
        ]

    def validate_kind(self, kind: str) -> str:
        """Refuse to make another kind of a channel."""
        if self.instance is not None and kind != self.instance.kind:
            message = "The kind of a channel stays; add another channel."
            raise serializers.ValidationError(message)
        return kind

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Judge the settings by the kind they belong to."""
        kind = self.instance.kind if self.instance is not None else attrs["kind"]
        if "config" in attrs:
            foreign = [name for name in attrs["config"] if name != _SETTING[kind]]
            if foreign:
                told = f"A channel of kind {kind} has no such setting."
                raise serializers.ValidationError({"config": {name: [told] for name in foreign}})
            try:
                channels.usable_config(kind=kind, config=attrs["config"])
            except InvalidInputError as error:
                raise serializers.ValidationError({"config": error.errors}) from error
        return attrs


class CreatedChannelSerializer(ChannelSerializer):
    """A new channel with its signing secret, which is shown this once."""

    signing_secret = serializers.CharField(read_only=True, allow_blank=True)

    class Meta(ChannelSerializer.Meta):
        fields = [*ChannelSerializer.Meta.fields, "signing_secret"]


class SecretSerializer(serializers.Serializer[Any]):
    """A signing secret, shown this once."""

    signing_secret = serializers.CharField(read_only=True)


class AnswerSerializer(serializers.Serializer[Any]):
    """What one recipient's side answered to a test."""

    notification_id = serializers.IntegerField()
    recipient = serializers.CharField()
    delivered = serializers.BooleanField()
    seconds = serializers.FloatField()
    status_code = serializers.IntegerField(source="outcome.status_code", allow_null=True)
    error_class = serializers.CharField(source="outcome.error_class")
    detail = serializers.CharField(source="outcome.detail")
    excerpt = serializers.CharField(source="outcome.excerpt")
