"""Events: what `emit` inserts, before anybody has decided whom to tell."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Event(models.Model):
    """One alert, or its end, as it was raised; written in the transaction that raises it."""

    class Severity(models.TextChoices):
        CRITICAL = "critical", "Critical"
        WARNING = "warning", "Warning"
        INFO = "info", "Info"

    class Status(models.TextChoices):
        FIRING = "firing", "Firing"
        RESOLVED = "resolved", "Resolved"
        INFO = "info", "Info"

    class Routing(models.TextChoices):
        WAITING = "", "Not routed yet"
        ROUTED = "routed", "Told"
        SUPPRESSED = "suppressed", "Suppressed"
        NO_CHANNEL = "no_channel", "Reached nobody"

    kind = models.CharField(max_length=100)
    severity = models.CharField(max_length=8, choices=Severity)
    status = models.CharField(max_length=8, choices=Status)
    service = models.CharField(max_length=200, blank=True)
    title = models.CharField(max_length=300)
    body = models.TextField(blank=True)
    labels = models.JSONField(default=dict, blank=True)
    links = models.JSONField(default=dict, blank=True)
    dedup_key = models.CharField(max_length=200)
    transition_seq = models.PositiveBigIntegerField()
    suppressed_by = models.CharField(max_length=200, blank=True)
    raised_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    routed_at = models.DateTimeField(null=True, blank=True, editable=False)
    routing = models.CharField(
        max_length=10, choices=Routing, default=Routing.WAITING, blank=True, editable=False
    )

    # What was decided: a list of {"route": name, "group": id, "silence": id}, for "why?".
    decided = models.JSONField(default=list, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            # A signal and the sweep that makes good a lost one may both raise the same transition.
            models.UniqueConstraint(
                name="event_is_raised_once", fields=["dedup_key", "transition_seq"]
            ),
            models.CheckConstraint(
                name="event_severity_is_known",
                condition=Q(severity__in=["critical", "warning", "info"]),
            ),
            models.CheckConstraint(
                name="event_status_is_known", condition=Q(status__in=["firing", "resolved", "info"])
            ),
            models.CheckConstraint(
                name="event_routed_has_an_outcome",
                condition=Q(routed_at__isnull=True, routing="")
                | (Q(routed_at__isnull=False) & ~Q(routing="")),
            ),
        ]
        indexes = [
            # The router looks for unrouted rows only; the table is mostly routed ones.
            models.Index(name="event_unrouted", fields=["id"], condition=Q(routed_at__isnull=True)),
            # People look for those of which nobody was told; they are few among many. SQLite sees
            # that a state is one of two by OR, not by IN.
            models.Index(
                name="event_untold",
                fields=["routing", "-id"],
                condition=Q(routing="suppressed") | Q(routing="no_channel"),
            ),
        ]

    def __str__(self) -> str:
        return self.title
