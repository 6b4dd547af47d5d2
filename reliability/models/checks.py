"""Checks of services, what they say now, and what they said over time."""

from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from core.fields import SealedJSONField
from core.targets import shown_url
from reliability.engine.probe import Failure
from reliability.engine.strikes import Standing, State
from reliability.models.fields import (
    validate_accept,
    validate_headers,
    validate_line,
    validate_target,
)
from reliability.models.says import Says

MIN_INTERVAL_SECONDS: Final = 10
MAX_INTERVAL_SECONDS: Final = 86_400
MAX_TIMEOUT_SECONDS: Final = 60
MAX_STRIKES: Final = 20
RETRY_SECONDS: Final = 20
PAUSED: Final = "switched off"
"""The reason of a segment that began because somebody switched the check off."""

STATES: Final = [(state.value, state.value.capitalize()) for state in State]
STANDINGS: Final = [(standing.value, standing.value.capitalize()) for standing in Standing]
FAILURES: Final = [
    (Failure.DNS.value, "Name not found"),
    (Failure.CONNECT.value, "No connection"),
    (Failure.TLS.value, "TLS or certificate"),
    (Failure.TIMEOUT.value, "Timeout"),
    (Failure.PROTOCOL.value, "Broken answer"),
    (Failure.REFUSED.value, "Refused by the outgoing policy"),
    (Failure.STATUS.value, "Unexpected status"),
    (Failure.BODY.value, "Expected text missing"),
]


def default_interval() -> int:
    """Return UPTIME_INTERVAL_SEC."""
    return int(settings.UPTIME_INTERVAL_SEC)


def default_strikes() -> int:
    """Return UPTIME_STRIKES."""
    return int(settings.UPTIME_STRIKES)


class Check(models.Model):
    """One question asked again and again: does this URL answer as it should."""

    class Kind(models.TextChoices):
        HTTP = "http", "HTTP(S)"

    class Method(models.TextChoices):
        GET = "GET", "GET"
        HEAD = "HEAD", "HEAD"

    service = models.ForeignKey(
        "reliability.Service", on_delete=models.CASCADE, related_name="checks"
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.HTTP, editable=False)
    name = models.CharField(
        max_length=120,
        blank=True,
        validators=[validate_line],
        help_text="Needed only to tell several checks of a service apart.",
    )
    url = models.CharField(
        "URL",
        max_length=2000,
        validators=[validate_target],
        help_text="http:// or https://, without credentials; private addresses are fine.",
    )
    method = models.CharField(max_length=4, choices=Method, default=Method.GET)
    headers = SealedJSONField(
        context="reliability.Check.headers",
        null=True,
        blank=True,
        validators=[validate_headers],
        help_text="Sent with each request. Stored encrypted and never shown again.",
    )
    interval_seconds = models.PositiveIntegerField(
        "interval (s)",
        default=default_interval,
        validators=[
            MinValueValidator(MIN_INTERVAL_SECONDS),
            MaxValueValidator(MAX_INTERVAL_SECONDS),
        ],
        help_text="From one probe to the next.",
    )
    timeout_seconds = models.PositiveIntegerField(
        "timeout (s)",
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_TIMEOUT_SECONDS)],
        help_text="For the whole exchange, redirects included; at most the interval.",
    )
    retry_interval_seconds = models.PositiveIntegerField(
        "retry (s)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_INTERVAL_SECONDS)],
        help_text=f"After a surprise; empty means the interval, but at most {RETRY_SECONDS} s.",
    )
    strikes_down = models.PositiveSmallIntegerField(
        default=default_strikes,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_STRIKES)],
        help_text="Failures in a row before it counts as down and people are told.",
    )
    strikes_up = models.PositiveSmallIntegerField(
        default=default_strikes,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_STRIKES)],
        help_text="Successes in a row before it counts as up again.",
    )
    accept = models.CharField(
        "accepted statuses",
        max_length=100,
        default="200-399",
        validators=[validate_accept],
        help_text="Such as 200-399 or 200,204.",
    )
    body_contains = models.CharField(
        "expected text",
        max_length=200,
        blank=True,
        validators=[validate_line],
        help_text="Must occur in the first 256 KB of the answer, in this spelling.",
    )
    degraded_ms = models.PositiveIntegerField(
        "slow above (ms)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Degraded when three of five answers are slower; empty means never.",
    )
    follow_redirects = models.BooleanField(default=True, help_text="At most three.")
    tls_verify = models.BooleanField("verify the certificate", default=True)
    enabled = models.BooleanField(default=True, help_text="A check that is off says “unknown”.")
    config_version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["service__name", "id"]
        constraints = [
            models.CheckConstraint(
                name="check_interval_is_possible",
                condition=Q(interval_seconds__gte=MIN_INTERVAL_SECONDS),
                violation_error_message=f"The interval is at least {MIN_INTERVAL_SECONDS} s.",
            ),
            models.CheckConstraint(
                name="check_timeout_fits_interval",
                condition=Q(timeout_seconds__gte=1, timeout_seconds__lte=F("interval_seconds")),
                violation_error_message="The timeout is at least 1 s and at most the interval.",
            ),
            models.CheckConstraint(
                name="check_strikes_are_positive",
                condition=Q(strikes_down__gte=1, strikes_up__gte=1),
                violation_error_message="Strikes are at least 1.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service.name}: {self.label}"

    @property
    def label(self) -> str:
        """What tells this check from others of its service."""
        return self.name or self.shown_url

    @property
    def shown_url(self) -> str:
        """The URL without its query, for whoever may not change the check."""
        return shown_url(self.url)

    @property
    def says(self) -> Says:
        """What the check says now; reads `state`, which the selectors of lists bring along."""
        return Says.of(self)

    def clean(self) -> None:
        """Name the field of a rule that spans two."""
        super().clean()
        if (self.timeout_seconds or 0) > (self.interval_seconds or MAX_INTERVAL_SECONDS):
            raise ValidationError({"timeout_seconds": "The timeout is at most the interval."})


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
    alert_seq = models.PositiveBigIntegerField(default=0)
    # Somebody ended the incident by hand; none is opened until the check was up in between.
    settled = models.BooleanField(default=False, db_default=False)

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
            models.Index(name="segment_of_check", fields=["check_of", "-started_at"])
        ]

    def __str__(self) -> str:
        return f"{self.standing} from {self.started_at:%Y-%m-%d %H:%M:%S}"


class Sample(models.Model):
    """One result, as it was found; `manual` ones were asked for and moved no strikes."""

    check_of = models.ForeignKey(
        Check, on_delete=models.CASCADE, related_name="samples", db_column="check_id"
    )
    at = models.DateTimeField()
    ok = models.BooleanField()
    manual = models.BooleanField(default=False)
    status_code = models.PositiveSmallIntegerField(null=True)
    failure = models.CharField(max_length=10, blank=True, choices=FAILURES)
    detail = models.CharField(max_length=200, blank=True)
    latency_ms = models.FloatField()
    dns_ms = models.FloatField(default=0)
    connect_ms = models.FloatField(default=0)
    tls_ms = models.FloatField(default=0)
    first_byte_ms = models.FloatField(default=0)
    excerpt = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            # Also the index of a check's history; a flush that is repeated stores nothing twice.
            models.UniqueConstraint(name="sample_is_stored_once", fields=["check_of", "at"])
        ]

    def __str__(self) -> str:
        return f"{'ok' if self.ok else self.failure} at {self.at:%Y-%m-%d %H:%M:%S}"
