"""The mark that the first admin was made."""

from django.db import models
from django.utils import timezone


class Bootstrap(models.Model):
    """One row at most: of processes that start at once, the one that inserts it makes the admin."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(name="bootstrap_is_one_row", condition=models.Q(id=1))
        ]

    def __str__(self) -> str:
        return "First admin made"
