"""Heartbeats: jobs that report themselves, and what they reported."""

import uuid
from typing import Final

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from reliability.models.checks import Check
from reliability.models.fields import validate_cron, validate_time_zone

MAX_BODY: Final = 10_240
DAY: Final = 86_400


class Heartbeat(models.Model):
    """The rhythm of a check of the kind heartbeat, and where its job stands.

    The token is the address of the job's reports: whoever knows it may report and nothing else.
    """

    class Schedule(models.TextChoices):
        PERIOD = "period", "Every so often"
        CRON = "cron", "By a cron expression"

    class Status(models.TextChoices):
        NEW = "new", "Never reported"
        UP = "up", "Up"
        DOWN = "down", "Down"

    check_of = models.OneToOneField(
        Check,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="heartbeat",
        db_column="check_id",
    )
    token = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    schedule = models.CharField(max_length=6, choices=Schedule, default=Schedule.PERIOD)
    period_seconds = models.PositiveIntegerField(
        "period (s)",
        default=DAY,
        validators=[MinValueValidator(10), MaxValueValidator(366 * DAY)],
        help_text="From one success to the next.",
    )
    cron = models.CharField(
        "cron expression",
        max_length=100,
        blank=True,
        validators=[validate_cron],
        help_text="Minute, hour, day, month and weekday, such as 30 2 * * *.",
    )
    time_zone = models.CharField(
        max_length=60,
        default="UTC",
        validators=[validate_time_zone],
        help_text="In which the cron expression is meant, such as Europe/Berlin.",
    )
    grace_seconds = models.PositiveIntegerField(
        "grace (s)",
        default=300,
        validators=[MinValueValidator(0), MaxValueValidator(366 * DAY)],
        help_text="How late it may be.",
    )
    max_runtime_seconds = models.PositiveIntegerField(
        "longest run (s)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(366 * DAY)],
        help_text="A run that reported its start must end within this time; empty means the grace.",
    )
    # The platform's own jobs report by this name, not by the token.
    job = models.CharField(max_length=200, blank=True, editable=False)
    # How the job's own switch stood when it was followed last.
    job_enabled = models.BooleanField(default=True, editable=False)
    status = models.CharField(max_length=4, choices=Status, default=Status.NEW, editable=False)
    last_ping_at = models.DateTimeField(null=True, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)
    last_duration_ms = models.PositiveBigIntegerField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    run_id = models.CharField(max_length=100, blank=True, editable=False)
    due_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        default_permissions = ("view",)
        ordering = ["check_of"]
        constraints = [
            models.CheckConstraint(
                name="heartbeat_has_its_schedule",
                condition=~Q(schedule="cron") | ~Q(cron=""),
                violation_error_message="Give the cron expression.",
            ),
            models.UniqueConstraint(
                name="heartbeat_of_a_job_once", fields=["job"], condition=~Q(job="")
            ),
        ]
        indexes = [
            # The sweep looks every few seconds for what is late; most rows are not.
            models.Index(name="heartbeat_due", fields=["due_at"], condition=Q(due_at__isnull=False))
        ]

    def __str__(self) -> str:
        return str(self.check_of)


class HeartbeatPing(models.Model):
    """One report of a job; never changed, removed with age."""

    class Kind(models.TextChoices):
        SUCCESS = "success", "Success"
        START = "start", "Start"
        FAIL = "fail", "Failure"
        LOG = "log", "Log"

    heartbeat = models.ForeignKey(Heartbeat, on_delete=models.CASCADE, related_name="pings")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=7, choices=Kind)
    exit_code = models.PositiveSmallIntegerField(null=True)
    run_id = models.CharField(max_length=100, blank=True)
    duration_ms = models.PositiveBigIntegerField(null=True)
    address = models.GenericIPAddressField(null=True)
    body = models.TextField(blank=True)

    class Meta:
        verbose_name = "report"
        default_permissions = ("view",)
        ordering = ["-id"]
        indexes = [models.Index(name="ping_of_heartbeat", fields=["heartbeat", "-id"])]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M:%S}"


class Blackout(models.Model):
    """Time in which the platform did not watch: a stop, a paused machine, its own network gone.

    What was due within it is due later by as much, and nobody knows how anything stood.
    """

    class Kind(models.TextChoices):
        STOPPED = "stopped", "Nothing ran"
        OFFLINE = "offline", "No network"

    kind = models.CharField(max_length=7, choices=Kind)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    # When all that was due within it had been moved, and up to which heartbeat that is done. Until
    # then no deadline is judged.
    settled_at = models.DateTimeField(null=True)
    settled_upto = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        default_permissions = ("view",)
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                name="blackout_one_is_open", fields=["kind"], condition=Q(ended_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} from {self.started_at:%Y-%m-%d %H:%M:%S}"


class Liveness(models.Model):
    """When the platform last watched; one row, written every few seconds."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()
    # Within which time whoever wrote this looks again.
    silence_seconds = models.PositiveIntegerField(default=30, db_default=30)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"
