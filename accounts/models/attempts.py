"""Counters of wrong passwords and codes."""

from django.db import models


class AttemptBucket(models.Model):
    """What was tried under one key: an account, an address, a device, a second factor.

    The key is an HMAC: the table does not tell which names were tried. Times are seconds since
    1970, because the counters are kept by conditional updates that do arithmetic on them.
    """

    key = models.CharField(max_length=64, primary_key=True)
    failures = models.PositiveIntegerField(default=0)
    pending = models.PositiveIntegerField(default=0)
    last_at = models.FloatField(default=0)
    pending_at = models.FloatField(default=0)
    day = models.PositiveIntegerField(default=0, help_text="Days since 1970.")
    day_count = models.PositiveIntegerField(default=0)
    account = models.CharField(
        max_length=64, blank=True, default="", help_text="Of a browser: the key of its account."
    )
    last_from = models.CharField(
        max_length=64, blank=True, default="", help_text="The key of the last failure's address."
    )

    class Meta:
        default_permissions = ()
        indexes = [models.Index(name="attempts_by_age", fields=["last_at"])]

    def __str__(self) -> str:
        return f"{self.failures} failures"
