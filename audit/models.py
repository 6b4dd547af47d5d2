"""Who did what: rows that are written once and never changed."""

from django.db import models
from django.utils import timezone


class AuditRecord(models.Model):
    """One act. Actor and target are values: a row must not change when a user is deleted."""

    class Outcome(models.TextChoices):
        ALLOWED = "allowed", "Allowed"
        DENIED = "denied", "Denied"
        ERROR = "error", "Error"

    at = models.DateTimeField(default=timezone.now, editable=False)
    action = models.CharField(max_length=100, help_text="noun.past_participle")
    outcome = models.CharField(max_length=7, choices=Outcome, default=Outcome.ALLOWED)
    actor_kind = models.CharField(max_length=20)
    actor_key = models.CharField(max_length=100, blank=True)
    actor_name = models.CharField(max_length=200)
    address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    trace_id = models.CharField(max_length=32, blank=True)
    target_type = models.CharField(max_length=100, blank=True)
    target_id = models.CharField(max_length=100, blank=True)
    target_name = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    payload = models.TextField(
        default="{}", help_text="Details as canonical JSON: keys sorted, no floats."
    )

    class Meta:
        ordering = ["-id"]
        permissions = [("export_auditrecord", "Can export the audit log")]
        indexes = [
            # The list filters by one of these and shows the newest first.
            models.Index(name="audit_by_actor", fields=["actor_key", "-id"]),
            models.Index(name="audit_by_target", fields=["target_type", "target_id", "-id"]),
            models.Index(name="audit_by_action", fields=["action", "-id"]),
        ]
        constraints = [
            models.CheckConstraint(
                name="audit_outcome_is_known",
                condition=models.Q(outcome__in=["allowed", "denied", "error"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor_name}"
