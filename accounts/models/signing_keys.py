"""The keys that sign access tokens."""

from django.db import models
from django.utils import timezone

from core.fields import SealedJSONField


class SigningKey(models.Model):
    """One RSA key of the ring: published before it signs, and still trusted after it signed."""

    class State(models.TextChoices):
        STAGED = "staged", "Published, does not sign yet"
        ACTIVE = "active", "Signs"
        RETIRING = "retiring", "Verifies what it signed"
        RETIRED = "retired", "No longer trusted"
        REVOKED = "revoked", "Revoked: its tokens died with it"

    kid = models.CharField(max_length=32, primary_key=True)
    state = models.CharField(max_length=8, choices=State, default=State.STAGED)
    created_at = models.DateTimeField(default=timezone.now)
    sign_from = models.DateTimeField()
    retire_at = models.DateTimeField(null=True)
    public_jwk = models.JSONField()
    private_pem = SealedJSONField(context="accounts.signingkey.private_pem", null=True)

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ("view",)
        permissions = [("rotate_signingkey", "Can rotate and revoke token signing keys")]
        constraints = [
            models.UniqueConstraint(
                name="one_signing_key_is_active",
                fields=["state"],
                condition=models.Q(state="active"),
            )
        ]

    def __str__(self) -> str:
        return f"Signing key {self.kid}"
