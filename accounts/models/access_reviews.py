"""Each quarter somebody confirms who may do what."""

from django.db import models
from django.utils import timezone


class AccessReview(models.Model):
    """The list of one quarter."""

    quarter = models.CharField(max_length=7, unique=True, help_text="Such as 2026-Q4.")
    opened_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-quarter"]
        default_permissions = ("view",)
        permissions = [("decide_accessreview", "Can confirm and revoke in access reviews")]

    def __str__(self) -> str:
        return f"Access review {self.quarter}"


class AccessReviewItem(models.Model):
    """One person, one role of theirs, or one key, as found when the review was opened."""

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        ROLE = "role", "Role of a person"
        API_KEY = "api_key", "API key"
        DASHBOARD_KEY = "dashboard_key", "Dashboard key"

    class Decision(models.TextChoices):
        OPEN = "open", "Open"
        CONFIRMED = "confirmed", "Confirmed"
        REVOKED = "revoked", "Revoked"

    review = models.ForeignKey(AccessReview, on_delete=models.CASCADE, related_name="items")
    kind = models.CharField(max_length=13, choices=Kind)
    subject = models.CharField(max_length=64)
    name = models.CharField(max_length=200)
    facts = models.JSONField(default=dict)
    decision = models.CharField(max_length=9, choices=Decision, default=Decision.OPEN)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["kind", "name"]
        constraints = [
            models.UniqueConstraint(
                name="reviewed_once_a_quarter", fields=["review", "kind", "subject"]
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def person(self) -> str:
        """The user name of whom it is about; empty of a dashboard key, which is nobody's."""
        found = self.name if self.kind == self.Kind.PERSON else self.facts.get("owner", "")
        return str(found)
