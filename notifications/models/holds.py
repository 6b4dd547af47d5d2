"""The hold: while it stands, no message leaves."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class DispatchHold(models.Model):
    """Stands after a restore until somebody has looked at what waits; at most one row.

    A restored database holds messages of its past: people have got them already, or should not any
    more.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    since = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=200)
    placed_by = models.CharField(max_length=200)

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(name="hold_is_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return self.reason
