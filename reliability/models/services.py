"""The service catalogue: what the team runs."""

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from reliability.models.fields import validate_line, validate_web_url


class Service(models.Model):
    """Something people rely on; checks, incidents and later objectives belong to it."""

    class Tier(models.TextChoices):
        CRITICAL = "critical", "Critical: wakes people"
        IMPORTANT = "important", "Important: same day"
        STANDARD = "standard", "Standard"

    class Environment(models.TextChoices):
        PRODUCTION = "production", "Production"
        STAGING = "staging", "Staging"
        DEVELOPMENT = "development", "Development"

    name = models.CharField(
        max_length=120,
        validators=[validate_line],
        help_text="As people call it; shown in every alert. Upper and lower case do not differ.",
    )
    owner = models.CharField(
        max_length=120,
        blank=True,
        validators=[validate_line],
        help_text="The person or team to ask first.",
    )
    tier = models.CharField(
        max_length=10,
        choices=Tier,
        default=Tier.STANDARD,
        help_text="How much depends on it.",
    )
    environment = models.CharField(
        max_length=11, choices=Environment, default=Environment.PRODUCTION
    )
    url = models.CharField(
        "URL",
        max_length=2000,
        blank=True,
        validators=[validate_web_url],
        help_text="Where people find it. Checks have URLs of their own.",
    )
    is_public = models.BooleanField(
        "on the status page", default=False, help_text="Strangers see how it stands, and its name."
    )
    public_name = models.CharField(
        max_length=120,
        blank=True,
        validators=[validate_line],
        help_text="On the status page; empty means its name.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="service_name_is_unique",
                violation_error_message="A service with this name exists already.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class PlatformCheck(models.Model):
    """Remembers that the platform was given a check of itself, also after it was deleted.

    `url` is what the platform chose; a check whose URL differs was changed by an operator.
    """

    check_made = models.ForeignKey(
        "reliability.Check", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    url = models.CharField(max_length=2000)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.url
