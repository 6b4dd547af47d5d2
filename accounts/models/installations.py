"""The installation that a database belongs to."""

from django.db import models
from django.utils import timezone


class Installation(models.Model):
    """One row: what holds for the platform as a whole."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    keyring_id = models.CharField(max_length=8, blank=True)
    first_admin_at = models.DateTimeField(null=True)
    generation = models.PositiveIntegerField(
        default=1, help_text="Counts how often every sign-in was ended, as after a restore."
    )
    console_networks = models.JSONField(
        default=list,
        blank=True,
        help_text="Networks that the console may be opened from. Empty: from anywhere.",
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "console access"
        verbose_name_plural = "console access"
        default_permissions = ("change", "view")
        constraints = [
            models.CheckConstraint(name="installation_is_one_row", condition=models.Q(id=1))
        ]

    def __str__(self) -> str:
        return "This installation"
