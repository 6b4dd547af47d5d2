"""The feed by which every process learns what is no longer valid."""

from django.db import models
from django.utils import timezone


class AccessChange(models.Model):
    """One change of who may do what, written in the transaction of the change."""

    class Kind(models.TextChoices):
        SESSION = "sid", "Session ended"
        TOKEN = "jti", "Access token revoked"  # the name of a claim
        USER = "user", "All of a person's sign-ins ended"
        SIGNING_KEY = "kid", "Signing key revoked"
        API_KEY = "apikey", "API key revoked"
        DASHBOARD_KEY = "dashkey", "Dashboard key denied"
        ALL = "all", "Everything ended"
        RIGHTS = "perm", "Rights of a person changed"
        ROLES = "roles", "Rights of a role changed"
        KEYS = "keys", "Signing keys changed"
        NETWORKS = "allow", "Allowed networks changed"

    seq = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=7, choices=Kind)
    value = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    not_after = models.DateTimeField(help_text="Nothing that it concerns can live longer.")
    actor = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = "revocation"
        ordering = ["-seq"]
        default_permissions = ("view",)
        indexes = [
            # A process loads what is alive; PostgreSQL's poll looks at the last minute.
            models.Index(name="access_changes_alive", fields=["not_after"]),
            models.Index(name="access_changes_recent", fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.value}".strip()
