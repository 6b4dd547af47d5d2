"""Messages and channels as the API shows and takes them."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from rest_framework import serializers

from core.errors import InvalidInputError
from core.keyring import KeyringError
from core.rest.serializers import StrictSerializer
from notifications.engine.kinds import KINDS, Field, Shape
from notifications.engine.targets import shown_address
from notifications.models import Channel, DeliveryAttempt, Event, Notification
from notifications.services import channels, configs

# Whoever decides who is told may see the addresses; everybody else sees whose domain it is.
SEES_RECIPIENTS: Final = "notifications.change_channel"


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
    """Where a channel leads; which of these settings it has depends on its kind."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the settings of all kinds; null takes one away that is optional."""
        found: dict[str, serializers.Field[Any, Any, Any, Any]] = {}
        for kind in KINDS.values():
            for field in kind.fields:
                if field.shape is Shape.LINES:
                    found[field.name] = serializers.ListField(
                        child=serializers.CharField(max_length=field.longest),
                        required=False,
                        max_length=channels.MOST_RECIPIENTS,
                    )
                else:
                    found[field.name] = serializers.CharField(
                        required=False, allow_null=True, allow_blank=True, max_length=2000
                    )
        return found


class KindFieldSerializer(serializers.Serializer[Any]):
    """One private setting of a kind."""

    name = serializers.CharField()
    title = serializers.CharField(source="label")
    about = serializers.CharField(source="help")
    shape = serializers.CharField()
    is_required = serializers.BooleanField()
    is_secret = serializers.BooleanField()
    choices = serializers.SerializerMethodField()
    usual = serializers.CharField(source="default")

    def get_choices(self, field: Field) -> list[str]:
        """Return the values to choose from."""
        return [value for value, _ in field.choices]


class KindSerializer(serializers.Serializer[Any]):
    """A kind of channel: what it asks for, and how much it takes."""

    name = serializers.CharField()
    title = serializers.CharField()
    about = serializers.CharField()
    settings = KindFieldSerializer(many=True, source="fields")
    takes_addresses = serializers.BooleanField()
    rate_per_minute = serializers.IntegerField(allow_null=True)
    text_limit = serializers.IntegerField(allow_null=True)


class ChannelSerializer(StrictSerializer[Channel], serializers.ModelSerializer[Channel]):
    """A channel; its `config` goes in and never comes out, `target` tells what may be known."""

    config = ConfigSerializer(write_only=True)
    fallback = serializers.PrimaryKeyRelatedField(
        queryset=Channel.objects.all(), required=False, allow_null=True
    )
    quiet_days = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6), required=False, max_length=7
    )
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
            "rate_per_minute",
            "fallback",
            "is_for_people",
            "template",
            "quiet_from",
            "quiet_until",
            "quiet_days",
            "time_zone",
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
            known = {field.name for field in KINDS[kind].fields}
            foreign = [name for name in attrs["config"] if name not in known]
            if foreign:
                told = f"A channel of kind {kind} has no such setting."
                raise serializers.ValidationError({"config": {name: [told] for name in foreign}})
            try:
                configs.usable_config(kind=kind, config=self._wanted(kind, attrs["config"]))
            except InvalidInputError as error:
                raise serializers.ValidationError({"config": error.errors}) from error
        return attrs

    def _wanted(self, kind: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return the settings as they would be; what the keyring cannot open is given anew."""
        stored: dict[str, Any] = {}
        if self.instance is not None:
            with contextlib.suppress(KeyringError):
                stored = dict(self.instance.config)
        return configs.merged(kind=kind, stored=stored, given=given)


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
    provider_ref = serializers.CharField(source="outcome.provider_ref")
    excerpt = serializers.CharField(source="outcome.excerpt")
