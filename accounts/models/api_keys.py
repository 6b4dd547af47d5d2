"""Keys of programs: those that people make, and dashboard keys that are denied."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.scopes import words_of


class APIKeyQuerySet(models.QuerySet["APIKey"]):
    """Keys by what people ask of them."""

    def valid(self) -> APIKeyQuerySet:
        """Return the keys that work."""
        return self.filter(revoked_at=None, expires_at__gt=timezone.now())

    def ended(self) -> APIKeyQuerySet:
        """Return the keys that were revoked or have expired."""
        return self.exclude(revoked_at=None, expires_at__gt=timezone.now())

    def described(self, *, owner: str = "", state: str = "") -> APIKeyQuerySet:
        """Narrow by the owner's name, and to keys that work or have ended."""
        found = self.filter(owner__username=owner.casefold()) if owner else self.all()
        if state == "valid":
            return found.valid()
        return found.ended() if state == "ended" else found


class APIKey(models.Model):
    """A key that a program sends; shown once, kept as a keyed digest."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key_id = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    pepper_id = models.CharField(max_length=8, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys", editable=False
    )
    label = models.CharField(max_length=80, help_text="Which program uses it, and where.")
    scopes = models.JSONField(
        default=list, help_text="What it may do, and never more than its owner."
    )
    networks = models.JSONField(
        default=list,
        blank=True,
        help_text="Networks that it may be used from, such as 192.0.2.0/24. Empty: from anywhere.",
    )
    revoke_unused = models.BooleanField(
        default=False, help_text="Revoke it once it was not used for 90 days."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    warned_days = models.PositiveSmallIntegerField(null=True, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    last_used_address = models.GenericIPAddressField(null=True, editable=False)
    rotated_from = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    revoked_at = models.DateTimeField(null=True, editable=False)
    revoked_by = models.CharField(max_length=200, blank=True, editable=False)
    revoked_reason = models.CharField(max_length=200, blank=True, editable=False)

    objects = APIKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]
        default_permissions = ("add", "view")
        permissions = [("revoke_apikey", "Can revoke other people's API keys")]
        indexes = [models.Index(name="api_keys_by_end", fields=["expires_at"])]

    def __str__(self) -> str:
        return self.label

    @property
    def is_over(self) -> bool:
        """Whether its time has run out."""
        return self.expires_at <= timezone.now()

    @property
    def allows(self) -> str:
        """What its scopes let it do, in plain words."""
        return words_of(self.scopes)


class DeniedDashKey(models.Model):
    """A dashboard key that is refused although ROLES_JSON may still name it."""

    fingerprint = models.CharField(max_length=64, primary_key=True)
    not_before = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = "denied dashboard key"
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.fingerprint[:8]
