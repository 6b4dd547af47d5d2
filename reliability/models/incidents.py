"""Incidents: something is wrong, who takes care, and what happened when."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from reliability.models.checks import Check
from reliability.models.services import Service


class Incident(models.Model):
    """One outage of one check, from the first failure to the recovery.

    It outlives its service and check: names are kept as text.
    """

    class State(models.TextChoices):
        TRIGGERED = "triggered", "Triggered"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        RESOLVED = "resolved", "Resolved"

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

    class Meta:
        ordering = ["-id"]
        permissions = [("acknowledge_incident", "Can acknowledge incidents and add notes")]
        constraints = [
            models.UniqueConstraint(
                name="incident_one_is_open_per_check",
                fields=["check_of"],
                condition=~Q(state="resolved"),
            ),
            models.CheckConstraint(
                name="incident_resolved_has_a_time",
                condition=Q(state="resolved", resolved_at__isnull=False)
                | (~Q(state="resolved") & Q(resolved_at=None)),
            ),
            models.CheckConstraint(
                name="incident_acknowledged_has_a_time",
                condition=~Q(state="acknowledged") | Q(acknowledged_at__isnull=False),
            ),
        ]
        indexes = [
            # Open ones are few and asked for on every page; the table is mostly resolved ones.
            models.Index(name="incident_open", fields=["-id"], condition=~Q(state="resolved"))
        ]

    def __str__(self) -> str:
        return self.title


class IncidentEvent(models.Model):
    """One line of an incident's timeline; never changed."""

    class Kind(models.TextChoices):
        OPENED = "opened", "Opened"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        NOTE = "note", "Note"
        RESOLVED = "resolved", "Resolved"

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
