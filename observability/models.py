"""The rights of this app; what it shows is measured when somebody asks."""

from django.db import models


class Health(models.Model):
    """A name to hang the permission on: Django ties permissions to models."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [("view_health", "Can see the health of the platform")]
        verbose_name_plural = "health"

    def __str__(self) -> str:
        return "health"
