"""Sign-ins that hold: of browsers and of programs."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.engine import devices, proofs


class UserSession(models.Model):
    """One sign-in of one person; tokens and the cookie stand for it and end with it."""

    class Kind(models.TextChoices):
        WEB = "web", "Browser"
        API = "api", "API"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_ins"
    )
    kind = models.CharField(max_length=3, choices=Kind)
    session_key = models.CharField(  # noqa: DJ001  # unique, and programs have none
        max_length=64, null=True, unique=True, help_text="SHA-256 of the cookie's value."
    )
    device = models.CharField(max_length=100, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    first_address = models.GenericIPAddressField(null=True)
    last_address = models.GenericIPAddressField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    methods = models.CharField(
        max_length=60, blank=True, help_text="How the person proved who they are (RFC 8176)."
    )
    mfa_at = models.DateTimeField(null=True)
    reauth_at = models.DateTimeField(null=True)
    refresh_generation = models.PositiveIntegerField(default=0)
    refresh_digest = models.CharField(max_length=64, blank=True)
    refresh_previous_digest = models.CharField(max_length=64, blank=True)
    refresh_pepper_id = models.CharField(max_length=8, blank=True)
    rotated_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=200, blank=True)
    revoked_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = "session"
        ordering = ["-created_at"]
        default_permissions = ("view",)
        permissions = [("revoke_usersession", "Can end other people's sessions")]
        indexes = [
            # "The sessions of this person that hold", newest first.
            models.Index(
                name="sessions_that_hold",
                fields=["user", "-created_at"],
                condition=models.Q(revoked_at=None),
            ),
            models.Index(name="sessions_by_end", fields=["expires_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} session of {self.user}"

    @property
    def device_name(self) -> str:
        """Return what the client is called."""
        return devices.name_of(self.device, self.user_agent)

    @property
    def proven(self) -> str:
        """Return how the person proved who they are, in words."""
        return proofs.in_words(self.methods.split(","))
