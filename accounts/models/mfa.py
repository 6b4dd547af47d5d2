"""Second factors, and the challenges between two steps of signing in."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone


class LoginChallenge(models.Model):
    """What was proven so far; five minutes, used once. The token itself is not stored."""

    class Kind(models.TextChoices):
        MFA = "mfa", "Second step of signing in"
        REAUTH = "reauth", "Proving it again before a dangerous act"
        ENROL = "enrol", "Adding a second factor"
        PASSKEY = "passkey", "Signing in by passkey alone"

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+"
    )
    kind = models.CharField(max_length=7, choices=Kind)
    session = models.UUIDField(null=True)
    state = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(name="challenges_by_end", fields=["expires_at"])]

    def __str__(self) -> str:
        return self.get_kind_display()


class TOTPDevice(models.Model):
    """An authenticator app (RFC 6238); its seed is sealed for this row alone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="totp_devices"
    )
    label = models.CharField(max_length=60, default="Authenticator app")
    sealed_seed = models.TextField()
    last_step = models.BigIntegerField(default=0, help_text="A step is accepted once.")
    created_at = models.DateTimeField(default=timezone.now)
    confirmed_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "authenticator app"
        default_permissions = ()

    def __str__(self) -> str:
        return self.label


class Passkey(models.Model):
    """A WebAuthn credential of one person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="passkeys"
    )
    credential_id = models.CharField(max_length=1400, unique=True, help_text="base64url")
    credential = models.BinaryField(help_text="Attested credential data, as WebAuthn encodes it.")
    sign_count = models.BigIntegerField(default=0)
    transports = models.JSONField(default=list)
    label = models.CharField(max_length=60)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["created_at"]

    def __str__(self) -> str:
        return self.label


class RecoveryCode(models.Model):
    """One code for the day on which the other factors are lost; works once."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes"
    )
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(name="recovery_code_is_one", fields=["user", "digest"])
        ]

    def __str__(self) -> str:
        return "Recovery code"
