"""Routes: who is told of what, and how messages are gathered."""

from __future__ import annotations

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from notifications.models.channels import Channel
from notifications.models.escalation import EscalationChain

DAY_SECONDS = 86_400


class Route(models.Model):
    """Alerts that match go to these channels and start this escalation.

    Routes are asked in the order of their positions; the first that matches ends the search unless
    it says `go_on`. The default route has no matchers, comes last and cannot be deleted; without
    channels of its own it reaches every enabled channel that is not for people alone.
    """

    name = models.CharField(max_length=100, unique=True)
    position = models.PositiveIntegerField(
        default=100, help_text="Routes are asked from the lowest position to the highest."
    )
    enabled = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False, editable=False)
    # A list of {"field": "service", "op": "=", "values": ["shop"]}; all of them must match.
    matchers = models.JSONField(default=list, blank=True)
    go_on = models.BooleanField(
        "go on",
        default=False,
        help_text="Ask the routes below as well, instead of ending here.",
    )
    channels = models.ManyToManyField(Channel, blank=True, related_name="routes")
    chain = models.ForeignKey(
        EscalationChain,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="routes",
        verbose_name="escalation",
        help_text="Whom to tell next while nobody acknowledges.",
    )
    # Names of fields and labels; alerts with the same values share one thread of messages.
    group_by = models.JSONField(default=list, blank=True)
    group_wait_seconds = models.PositiveIntegerField(
        default=30,
        validators=[MaxValueValidator(3_600)],
        help_text="How long the first message waits for company. Critical alerts never wait.",
    )
    group_interval_seconds = models.PositiveIntegerField(
        default=300,
        validators=[MaxValueValidator(DAY_SECONDS)],
        help_text="How soon after a message the next of the same thread may follow.",
    )
    repeat_seconds = models.PositiveIntegerField(
        default=4 * 3_600,
        validators=[MaxValueValidator(7 * DAY_SECONDS)],
        help_text="How often to tell again of what still holds; 0 for never.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["is_default", "position", "pk"]
        constraints = [
            models.UniqueConstraint(
                name="route_default_is_one_row", fields=["is_default"], condition=Q(is_default=True)
            ),
            models.CheckConstraint(
                name="route_default_is_enabled", condition=Q(is_default=False) | Q(enabled=True)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Silence(models.Model):
    """Nobody is told of alerts that match, between two moments.

    An edit ends the row and adds another, so that the history of an alert stays explained.
    """

    matchers = models.JSONField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    comment = models.CharField(max_length=300)
    author = models.CharField(max_length=200, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_by = models.CharField(max_length=200, blank=True, editable=False)
    replaces = models.ForeignKey(
        "self", null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="silence_ends_after_it_starts", condition=Q(ends_at__gt=models.F("starts_at"))
            ),
        ]
        indexes = [models.Index(name="silence_by_end", fields=["ends_at"])]

    def __str__(self) -> str:
        return self.comment
