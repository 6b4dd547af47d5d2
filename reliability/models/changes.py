"""What changed: deploys and other acts that explain what happens after them."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from reliability.models.fields import validate_line, validate_web_url
from reliability.models.services import Service


class Change(models.Model):
    """A deploy, a migration, a flag: somebody changed a service at some moment."""

    class Kind(models.TextChoices):
        DEPLOY = "deploy", "Deploy"
        CONFIGURATION = "configuration", "Configuration"
        MIGRATION = "migration", "Migration"
        FLAG = "flag", "Feature flag"
        INFRASTRUCTURE = "infrastructure", "Infrastructure"
        OTHER = "other", "Other"

    service = models.ForeignKey(
        Service, on_delete=models.CASCADE, null=True, blank=True, related_name="changes"
    )
    kind = models.CharField(max_length=14, choices=Kind, default=Kind.DEPLOY)
    title = models.CharField(max_length=200, validators=[validate_line])
    version = models.CharField(max_length=100, blank=True, validators=[validate_line])
    url = models.CharField(
        "URL",
        max_length=2000,
        blank=True,
        validators=[validate_web_url],
        help_text="To look it up.",
    )
    # Who tells twice with the same key has told once.
    external_key = models.CharField(max_length=200, blank=True, validators=[validate_line])
    at = models.DateTimeField(default=timezone.now)
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)
    told_by = models.CharField(max_length=200, editable=False)

    class Meta:
        default_permissions = ("view", "add")
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(
                name="change_is_told_once", fields=["external_key"], condition=~Q(external_key="")
            )
        ]
        indexes = [
            models.Index(name="change_by_time", fields=["-at"]),
        ]

    def __str__(self) -> str:
        return self.title
