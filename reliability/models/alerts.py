"""Alerts: one condition that holds or does not; incidents gather them."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from reliability.models.checks import Check
from reliability.models.incidents import Incident
from reliability.models.objectives import SLO
from reliability.models.services import Service


class Alert(models.Model):
    """One rule that fired for one thing; the database allows one open row for a fingerprint.

    `suppressed_by` says why nobody was told: a parent that is down, a maintenance, the platform's
    own network. The alert is kept, and told when that ends and it still holds.
    """

    class State(models.TextChoices):
        FIRING = "firing", "Firing"
        RESOLVED = "resolved", "Resolved"

    class Severity(models.TextChoices):
        CRITICAL = "critical", "Critical"
        WARNING = "warning", "Warning"
        INFO = "info", "Info"

    # SHA-256 of the rule and what tells this thing from others.
    fingerprint = models.CharField(max_length=64)
    rule = models.CharField(max_length=60)
    severity = models.CharField(max_length=8, choices=Severity)
    state = models.CharField(max_length=8, choices=State, default=State.FIRING)
    title = models.CharField(max_length=300)
    detail = models.CharField(max_length=1_000, blank=True)
    labels = models.JSONField(default=dict)
    service = models.ForeignKey(
        Service, on_delete=models.SET_NULL, null=True, related_name="alerts"
    )
    check_of = models.ForeignKey(
        Check,
        on_delete=models.SET_NULL,
        null=True,
        related_name="alerts",
        db_column="check_id",
        verbose_name="check",
    )
    slo = models.ForeignKey(SLO, on_delete=models.SET_NULL, null=True, related_name="alerts")
    incident = models.ForeignKey(
        Incident, on_delete=models.SET_NULL, null=True, related_name="alerts"
    )
    suppressed_by = models.CharField(max_length=200, blank=True)
    # False while it waits to be told together with others of its incident.
    is_told = models.BooleanField(default=False, db_default=False)
    count = models.PositiveIntegerField(default=1)
    starts_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                name="alert_one_is_open", fields=["fingerprint"], condition=~Q(state="resolved")
            ),
            models.CheckConstraint(
                name="alert_resolved_has_an_end",
                condition=Q(state="resolved", ends_at__isnull=False)
                | (~Q(state="resolved") & Q(ends_at=None)),
            ),
        ]
        indexes = [
            models.Index(name="alert_open", fields=["-id"], condition=~Q(state="resolved")),
            models.Index(name="alert_of_fingerprint", fields=["fingerprint", "-id"]),
        ]

    def __str__(self) -> str:
        return self.title
