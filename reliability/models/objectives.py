"""Service level objectives, where they stand, and where they stood."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from reliability.models.checks import Check
from reliability.models.fields import validate_line
from reliability.models.services import Service


def default_objective() -> float:
    """Return SLO_TARGET."""
    return float(settings.SLO_TARGET)


def default_window() -> int:
    """Return SLO_WINDOW_DAYS."""
    return int(settings.SLO_WINDOW_DAYS)


class SLO(models.Model):
    """How good a service has to be over a window of time."""

    class Window(models.TextChoices):
        ROLLING = "rolling", "The last days"
        CALENDAR = "calendar", "The calendar month (UTC)"

    class Combine(models.TextChoices):
        ANY = "any", "Down when any check is down"
        ALL = "all", "Down when all checks are down"

    class Unknown(models.TextChoices):
        IGNORE = "ignore", "Leave out"
        BAD = "bad", "Counts as bad"
        GOOD = "good", "Counts as good"

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="slos")
    name = models.CharField(max_length=120, default="Availability", validators=[validate_line])
    # A key of `selectors.indicators.registry.INDICATORS`.
    indicator = models.CharField(max_length=40, default="availability")
    threshold_ms = models.PositiveIntegerField(
        "fast means within (ms)", null=True, blank=True, validators=[MinValueValidator(1)]
    )
    objective = models.FloatField(
        default=default_objective,
        validators=[MinValueValidator(0.000_001), MaxValueValidator(0.999_999)],
        help_text="The share that has to be good, such as 0.995.",
    )
    window = models.CharField(max_length=8, choices=Window, default=Window.ROLLING)
    window_days = models.PositiveSmallIntegerField(
        default=default_window,
        validators=[MinValueValidator(1), MaxValueValidator(90)],
        help_text="Of a rolling window.",
    )
    checks = models.ManyToManyField(
        Check, blank=True, related_name="slos", help_text="None means all checks of the service."
    )
    # Whether it watches named checks only: when the last of them is deleted, it does not widen.
    names_checks = models.BooleanField(db_default=False, default=False, editable=False)
    combine = models.CharField(max_length=3, choices=Combine, default=Combine.ANY)
    unknown_policy = models.CharField(
        "unknown time", max_length=6, choices=Unknown, default=Unknown.IGNORE
    )
    gate = models.BooleanField(
        default=True,
        help_text="With less than a fifth of the budget left, /healthz/strict fails.",
    )
    policy = models.TextField(
        blank=True,
        max_length=2_000,
        help_text="What the team does when the budget is spent; shown with every alert about it.",
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "objective"
        ordering = ["service__name", "id"]
        constraints = [
            models.CheckConstraint(
                name="slo_objective_is_a_share",
                condition=Q(objective__gt=0, objective__lt=1),
                violation_error_message="The objective is more than 0 and less than 1.",
            ),
            models.UniqueConstraint(
                name="slo_name_is_unique",
                fields=["service", "name"],
                violation_error_message="The service has an SLO with this name already.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service.name}: {self.name}"


class SLOSnapshot(models.Model):
    """Where an SLO stood at some moment; shares are of 1, times in seconds or events."""

    class State(models.TextChoices):
        OK = "ok", "OK"
        WATCH = "watch", "Watch"
        AT_RISK = "at_risk", "At risk"
        EXHAUSTED = "exhausted", "Exhausted"
        INSUFFICIENT = "insufficient", "Too little data"

    slo = models.ForeignKey(SLO, on_delete=models.CASCADE, related_name="snapshots")
    at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=12, choices=State)
    sli = models.FloatField(null=True)
    bad = models.FloatField()
    total = models.FloatField()
    coverage = models.FloatField(null=True)
    budget = models.FloatField()
    remaining_share = models.FloatField(null=True)
    # By window, such as 1h: bad share over allowed share.
    burn_rates = models.JSONField(default=dict)
    exhausted_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "SLO snapshot"
        default_permissions = ("view",)
        ordering = ["-id"]
        indexes = [
            # The newest of each SLO, and the curve of its budget.
            models.Index(name="snapshot_of_slo", fields=["slo", "-at"])
        ]

    def __str__(self) -> str:
        return f"{self.state} at {self.at:%Y-%m-%d %H:%M}"
