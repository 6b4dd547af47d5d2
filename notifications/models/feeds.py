"""Feeds: what the console is told live, and how far each person has read."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from notifications.engine.frames import Entry


class Feed(models.Model):
    """One audience; the lock on its row makes the order of numbers the order of commits."""

    audience = models.CharField(max_length=100, unique=True)
    last_seq = models.PositiveBigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        ordering = ["audience"]

    def __str__(self) -> str:
        return self.audience


class FeedEntry(models.Model):
    """One thing that an audience is told; numbers of an audience have no gaps."""

    audience = models.CharField(max_length=100)
    seq = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=50)
    severity = models.CharField(max_length=10, blank=True, default="", db_default="")
    """That of the alert it tells of; empty for all else."""
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ()
        ordering = ["audience", "seq"]
        verbose_name_plural = "feed entries"
        constraints = [
            # Also the index of every read: the entries of an audience after a number.
            models.UniqueConstraint(name="feed_entry_is_numbered_once", fields=["audience", "seq"])
        ]
        indexes = [
            # Trimming looks for the oldest of all audiences.
            models.Index(name="feed_entry_by_age", fields=["created_at"]),
            # The few that are critical are found among many that are not.
            models.Index(name="feed_entry_by_severity", fields=["audience", "severity", "seq"]),
        ]

    def __str__(self) -> str:
        return f"{self.audience} {self.seq}"

    def as_entry(self) -> Entry:
        """Return it as the live feed tells it."""
        return Entry(self.audience, self.seq, self.kind, self.payload, self.created_at)


class ReadCursor(models.Model):
    """How far a person has read an audience."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="read_cursors"
    )
    audience = models.CharField(max_length=100)
    seq = models.PositiveBigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        ordering = ["user", "audience"]
        constraints = [
            models.UniqueConstraint(name="read_cursor_is_one_row", fields=["user", "audience"])
        ]

    def __str__(self) -> str:
        return f"{self.audience} {self.seq}"
