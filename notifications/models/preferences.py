"""Preferences: how a person wants to be told, and when not."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from notifications.models.channels import Channel
from notifications.models.events import Event


class Preference(models.Model):
    """What one person has chosen; whoever has chosen nothing has the defaults."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notification_preference"
    )
    min_severity = models.CharField(
        max_length=8,
        choices=Event.Severity,
        default=Event.Severity.INFO,
        help_text="Less grave alerts are not sent to you.",
    )
    subscribes = models.BooleanField(
        "every alert",
        default=False,
        help_text="Also when you are neither on call nor asked by an escalation.",
    )
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    # Numbers of weekdays, Monday is 0; empty means every day.
    quiet_days = models.JSONField(default=list, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                name="preference_quiet_has_both_ends",
                condition=models.Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | models.Q(quiet_from__isnull=False, quiet_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Preference of {self.user_id}"


class Contact(models.Model):
    """One way to reach a person: a channel, and the person's own address there.

    Of e-mail the address is always that of the account, so that nobody sends alerts elsewhere.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notification_contacts"
    )
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="contacts")
    address = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(default=True)

    class Meta:
        default_permissions = ()
        ordering = ["user", "channel"]
        constraints = [
            models.UniqueConstraint(name="contact_is_one_row", fields=["user", "channel"])
        ]

    def __str__(self) -> str:
        return f"Contact of {self.user_id}"
