"""The installation that a database belongs to."""

from django.db import models
from django.utils import timezone


class Installation(models.Model):
    """One row: which keyring opens what is sealed here, and when the first admin was made."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    keyring_id = models.CharField(max_length=8, blank=True)
    first_admin_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(name="installation_is_one_row", condition=models.Q(id=1))
        ]

    def __str__(self) -> str:
        return "This installation"
