"""Incidents: something is wrong, who takes care, and what happened when."""

from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from reliability.models.checks import Check
from reliability.models.services import Service

IS_OVER: Final = Q(state__in=["resolved", "closed"])
"""What every question about open incidents negates, as the partial index does."""


class Incident(models.Model):
    """Something is wrong with a service: gathers the alerts of one group until all have ended.

    It outlives its service and check: names are kept as text.
    """

    class State(models.TextChoices):
        TRIGGERED = "triggered", "Triggered"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        MITIGATED = "mitigated", "Mitigated"
        RESOLVED = "resolved", "Resolved"
        CLOSED = "closed", "Closed"

    class Severity(models.TextChoices):
        CRITICAL = "critical", "Critical"
        WARNING = "warning", "Warning"
        INFO = "info", "Info"

    check_of = models.ForeignKey(
        Check,
        on_delete=models.SET_NULL,
        null=True,
        related_name="incidents",
        db_column="check_id",
        verbose_name="check",
    )
    service = models.ForeignKey(
        Service, on_delete=models.SET_NULL, null=True, related_name="incidents"
    )
    service_name = models.CharField(max_length=120)
    title = models.CharField(max_length=300)
    dedup_key = models.CharField(max_length=200)
    # Only where its messages began under another key, which receivers know it by.
    outbox_key = models.CharField(max_length=200, blank=True, default="", db_default="")
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.CRITICAL)
    state = models.CharField(max_length=12, choices=State, default=State.TRIGGERED)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    failure = models.CharField(max_length=10, blank=True)
    detail = models.CharField(max_length=200, blank=True)
    excerpt = models.TextField(blank=True)
    started_at = models.DateTimeField()
    opened_at = models.DateTimeField(default=timezone.now)
    acknowledged_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    mitigated_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    # An acknowledgement holds for so long; then people are told again.
    acknowledged_until = models.DateTimeField(null=True)
    # A person chose the severity: alerts no longer raise it.
    severity_is_set = models.BooleanField(default=False, db_default=False)
    # Further alerts are told together, some time after this.
    told_at = models.DateTimeField(null=True)
    # Numbers what is told of it, in order.
    seq = models.PositiveIntegerField(default=0, db_default=0)
    reopened = models.PositiveSmallIntegerField(default=0, db_default=0)
    # Somebody ended it by hand while its alerts held; it stays ended until they have ended too.
    by_hand = models.BooleanField(default=False, db_default=False)
    post_mortem = models.TextField(blank=True, default="", db_default="", max_length=40_000)
    is_public = models.BooleanField("on the status page", default=True, db_default=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("acknowledge_incident", "Can acknowledge incidents and add notes")]
        constraints = [
            models.UniqueConstraint(
                name="incident_one_is_open", fields=["dedup_key"], condition=~IS_OVER
            ),
            models.CheckConstraint(
                name="incident_over_has_a_time",
                condition=(IS_OVER & Q(resolved_at__isnull=False))
                | (~IS_OVER & Q(resolved_at=None)),
            ),
            models.CheckConstraint(
                name="incident_acknowledged_has_a_time",
                condition=~Q(state="acknowledged") | Q(acknowledged_at__isnull=False),
            ),
        ]
        indexes = [
            # Open ones are few and asked for on every page; the table is mostly resolved ones.
            models.Index(name="incident_open", fields=["-id"], condition=~IS_OVER),
            models.Index(name="incident_of_key", fields=["dedup_key", "-id"]),
        ]

    def __str__(self) -> str:
        return self.title


class IncidentEvent(models.Model):
    """One line of an incident's timeline; never changed."""

    class Kind(models.TextChoices):
        OPENED = "opened", "Opened"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        EXPIRED = "expired", "Acknowledgement ran out"
        NOTE = "note", "Note"
        UPDATE = "update", "Update for the status page"
        ALERT = "alert", "Alert"
        CHANGE = "change", "Change before it"
        SEVERITY = "severity", "Severity"
        OWNER = "owner", "Owner"
        MITIGATED = "mitigated", "Mitigated"
        RESOLVED = "resolved", "Resolved"
        REOPENED = "reopened", "Opened again"
        CLOSED = "closed", "Closed"
        POST_MORTEM = "post_mortem", "Post-mortem"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=12, choices=Kind)
    actor_kind = models.CharField(max_length=20)
    actor_name = models.CharField(max_length=200)
    text = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.kind} by {self.actor_name}"
