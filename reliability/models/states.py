"""What checks say now, and how they stood over time."""

from typing import Final

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from reliability.engine.strikes import Standing, State
from reliability.models.checks import FAILURES, Check

PAUSED: Final = "switched off"
"""The reason of a segment that began because somebody switched the check off."""

STATES: Final = [(state.value, state.value.capitalize()) for state in State]
STANDINGS: Final = [(standing.value, standing.value.capitalize()) for standing in Standing]


class CheckState(models.Model):
    """What was found of a check last; one row each, written at every probe.

    It does not age by itself: `Check.says` tells what still holds.
    No changing column has an index: PostgreSQL can then update the row in place.
    """

    check_of = models.OneToOneField(
        Check,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="state",
        db_column="check_id",
    )
    state = models.CharField(max_length=10, choices=STATES, default=State.UNKNOWN.value)
    standing = models.CharField(max_length=8, choices=STANDINGS, default=Standing.UNKNOWN.value)
    since = models.DateTimeField(default=timezone.now)
    streak_ok = models.PositiveIntegerField(default=0)
    streak_fail = models.PositiveIntegerField(default=0)
    streak_at = models.DateTimeField(null=True)
    slow = models.PositiveSmallIntegerField(default=0)
    last_at = models.DateTimeField(null=True)
    last_code = models.PositiveSmallIntegerField(null=True)
    last_ms = models.FloatField(null=True)
    last_failure = models.CharField(max_length=10, blank=True, choices=FAILURES)
    last_detail = models.CharField(max_length=200, blank=True)
    # Only where the rhythm of the check does not tell: a heartbeat holds until its next is due.
    valid_until = models.DateTimeField(null=True)
    # The last 21 results, newest lowest: a set bit is one that differs from the one before it.
    changes = models.PositiveIntegerField(default=0, db_default=0)
    is_flapping = models.BooleanField(default=False, db_default=False)
    cert_not_after = models.DateTimeField(null=True)
    cert_fingerprint = models.CharField(max_length=64, blank=True, default="", db_default="")
    # The alert about the end of the certificate is open.
    cert_warned = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["check_of"]

    def __str__(self) -> str:
        return self.state


class StateSegment(models.Model):
    """A stretch of time with one standing: the source of truth for availability."""

    check_of = models.ForeignKey(
        Check, on_delete=models.CASCADE, related_name="segments", db_column="check_id"
    )
    standing = models.CharField(max_length=8, choices=STANDINGS)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                name="segment_one_is_open", fields=["check_of"], condition=Q(ended_at=None)
            ),
            models.CheckConstraint(
                name="segment_ends_after_it_starts",
                condition=Q(ended_at=None) | Q(ended_at__gte=F("started_at")),
            ),
        ]
        indexes = [
            # Availability reads the segments of one check within a window.
            models.Index(name="segment_of_check", fields=["check_of", "-started_at"]),
            # Which services were down lately is asked every few seconds.
            models.Index(name="segment_by_standing", fields=["standing", "ended_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.standing} from {self.started_at:%Y-%m-%d %H:%M:%S}"
