"""Channels: the ways to reach people, and how well each one works."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.fields import SealedJSONField


class ChannelManager(models.Manager["Channel"]):
    """Leaves the sealed settings closed until somebody asks a channel for them.

    Lists need no key, and one broken seal does not hide the channels beside it.
    """

    def get_queryset(self) -> models.QuerySet["Channel"]:
        """Return channels without their settings."""
        return super().get_queryset().defer("config")


class Channel(models.Model):
    """One way to reach people.

    `config` is sealed and write-only: URL of a webhook and its signing secrets, or the recipients
    of mail. `target` is what may be shown of it. The health fields are shared by all dispatchers,
    so that a dead receiver is left alone by every one of them.
    """

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Webhook"
        SLACK = "slack", "Slack"
        TELEGRAM = "telegram", "Telegram"
        PAGERDUTY = "pagerduty", "PagerDuty"
        DISCORD = "discord", "Discord"
        TEAMS = "teams", "Microsoft Teams"
        NTFY = "ntfy", "ntfy"
        APPRISE = "apprise", "Apprise"

    class ManagedBy(models.TextChoices):
        OPERATORS = "", "Operators"
        ENVIRONMENT = "environment", "Environment"

    class Health(models.TextChoices):
        DISABLED = "disabled", "Disabled"
        UNTRIED = "untried", "Not tried yet"
        WORKING = "working", "Working"
        FAILING = "failing", "Failing"
        PAUSED = "paused", "Paused after failures"

    SHORTEST_TIMEOUT_SECONDS = 1
    LONGEST_TIMEOUT_SECONDS = 30
    MOST_PARALLEL = 50
    MOST_A_MINUTE = 60_000

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=100, unique=True)
    target = models.CharField(max_length=300, editable=False)
    config = SealedJSONField(context="notifications.Channel.config", editable=False)
    enabled = models.BooleanField(
        default=True, help_text="Messages of a disabled channel wait until they expire."
    )
    disabled_reason = models.CharField(max_length=200, blank=True, editable=False)
    timeout_seconds = models.PositiveSmallIntegerField(
        default=10,
        validators=[
            MinValueValidator(SHORTEST_TIMEOUT_SECONDS),
            MaxValueValidator(LONGEST_TIMEOUT_SECONDS),
        ],
        help_text="How long one message may take.",
    )
    max_parallel = models.PositiveSmallIntegerField(
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_PARALLEL)],
        help_text="How many messages are on their way at once. Mail goes one by one.",
    )
    rate_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_A_MINUTE)],
        help_text="Messages a minute at most. Empty: what the provider is known to allow.",
    )
    fallback = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="stands_in_for",
        help_text="Gets what this channel could not deliver, and critical alerts that are late.",
    )
    is_for_people = models.BooleanField(
        "for people alone",
        default=False,
        help_text="Reaches people by their own addresses only; the default route leaves it out.",
    )
    template = models.TextField(
        blank=True,
        max_length=4_000,
        help_text="The text below the headline, in own words: $title, $body, $service, $alerts, "
        "$link, ${label.NAME} and others. Empty: the built-in text.",
    )
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    # Numbers of weekdays, Monday is 0; empty means every day.
    quiet_days = models.JSONField(default=list, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    # The bucket of `rate_per_minute`, shared by all dispatchers.
    tokens = models.FloatField(default=0.0, editable=False)
    tokens_at = models.DateTimeField(null=True, blank=True, editable=False)
    managed_by = models.CharField(
        max_length=11, choices=ManagedBy, default=ManagedBy.OPERATORS, blank=True, editable=False
    )
    revision = models.PositiveIntegerField(default=1, editable=False)
    fails = models.PositiveIntegerField(default=0, editable=False)
    open_until = models.DateTimeField(null=True, blank=True, editable=False)
    last_ok_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ChannelManager()

    class Meta:
        ordering = ["name"]
        permissions = [("test_channel", "Can send a test through a channel")]
        constraints = [
            models.CheckConstraint(
                name="channel_kind_is_known",
                condition=Q(
                    kind__in=[
                        "email",
                        "webhook",
                        "slack",
                        "telegram",
                        "pagerduty",
                        "discord",
                        "teams",
                        "ntfy",
                        "apprise",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="channel_quiet_has_both_ends",
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
            ),
            models.CheckConstraint(
                name="channel_is_not_its_own_fallback", condition=~Q(fallback=models.F("id"))
            ),
            # A batch must fit its lease, which is counted in timeouts.
            models.CheckConstraint(
                name="channel_timeout_in_range",
                condition=Q(timeout_seconds__gte=1, timeout_seconds__lte=30),
            ),
            models.CheckConstraint(
                name="channel_parallel_in_range",
                condition=Q(max_parallel__gte=1, max_parallel__lte=50),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def health(self) -> "Channel.Health":
        """Return how the channel fares, as far as the last attempts tell."""
        if not self.enabled:
            return self.Health.DISABLED
        if self.open_until is not None and self.open_until > timezone.now():
            return self.Health.PAUSED
        if self.last_error:
            return self.Health.FAILING
        return self.Health.WORKING if self.last_ok_at else self.Health.UNTRIED

    @property
    def is_managed_by_environment(self) -> bool:
        """Tell whether variables decide this row, so that nobody edits it here."""
        return self.managed_by == self.ManagedBy.ENVIRONMENT
