"""Maintenance: times in which nobody is told and no budget burns."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from reliability.models.fields import (
    validate_cron,
    validate_line,
    validate_month_days,
    validate_time_zone,
    validate_weekdays,
)
from reliability.models.services import Service


class MaintenanceWindow(models.Model):
    """A plan: once, or again and again at the same time of a wall clock."""

    class Repeat(models.TextChoices):
        ONCE = "once", "Once"
        DAILY = "daily", "Daily"
        WEEKLY = "weekly", "Weekly"
        MONTHLY = "monthly", "Monthly"
        CRON = "cron", "By a cron expression"

    title = models.CharField(max_length=200, validators=[validate_line])
    description = models.TextField(blank=True, max_length=4_000)
    services = models.ManyToManyField(
        Service, blank=True, related_name="maintenance", help_text="None means every service."
    )
    repeat = models.CharField(max_length=7, choices=Repeat, default=Repeat.ONCE)
    starts_at = models.DateTimeField(
        help_text="Of the first time; the others are at the same time of day in the time zone."
    )
    duration_seconds = models.PositiveIntegerField(
        "duration (s)", validators=[MinValueValidator(60), MaxValueValidator(30 * 86_400)]
    )
    time_zone = models.CharField(max_length=60, default="UTC", validators=[validate_time_zone])
    every = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(366)],
        help_text="2 means every other day, week or month.",
    )
    weekdays = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_weekdays],
        help_text="Of a weekly one: 0 is Monday, 6 Sunday; empty means that of the first time.",
    )
    month_days = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_month_days],
        help_text="Of a monthly one: 1 to 31, or -1 for the last; empty means that of the first "
        "time.",
    )
    cron = models.CharField(
        "cron expression", max_length=100, blank=True, validators=[validate_cron]
    )
    until = models.DateTimeField(null=True, blank=True, help_text="No time begins after this.")
    count = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
    is_public = models.BooleanField(
        "on the status page", default=True, help_text="For the services that stand there."
    )
    # Of one that was declared after it had begun.
    reason = models.TextField(blank=True, max_length=1_000)
    cancelled_at = models.DateTimeField(null=True, editable=False)
    declared_by = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    planned_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "maintenance"
        verbose_name_plural = "maintenance"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="maintenance_has_its_cron",
                condition=~Q(repeat="cron") | ~Q(cron=""),
                violation_error_message="Give the cron expression.",
            )
        ]

    def __str__(self) -> str:
        return self.title


class MaintenanceOccurrence(models.Model):
    """One time of a window, as moments; planned some weeks ahead."""

    window = models.ForeignKey(
        MaintenanceWindow, on_delete=models.CASCADE, related_name="occurrences"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    # What begins and ends it has been told.
    begun = models.BooleanField(default=False)
    ended = models.BooleanField(default=False)

    class Meta:
        default_permissions = ("view",)
        ordering = ["starts_at"]
        constraints = [
            models.UniqueConstraint(name="occurrence_is_once", fields=["window", "starts_at"]),
            models.CheckConstraint(
                name="occurrence_ends_after_it_starts", condition=Q(ends_at__gt=F("starts_at"))
            ),
        ]
        indexes = [
            # Which hold now, and which overlap some window of time.
            models.Index(name="occurrence_by_end", fields=["ends_at", "starts_at"])
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M} to {self.ends_at:%Y-%m-%d %H:%M}"
