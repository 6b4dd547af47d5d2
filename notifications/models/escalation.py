"""Escalation: whom to tell next while nobody acknowledges."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from notifications.models.channels import Channel
from notifications.models.events import Event
from notifications.models.oncall import OnCallSchedule

MOST_REPEATS = 9


class EscalationChain(models.Model):
    """Steps, one after the other, until somebody acknowledges or it is over."""

    name = models.CharField(max_length=100, unique=True)
    repeats = models.PositiveSmallIntegerField(
        default=1,
        validators=[MaxValueValidator(MOST_REPEATS)],
        help_text="How often to begin again when nobody has acknowledged by the end.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="chain_repeats_in_range", condition=Q(repeats__lte=MOST_REPEATS)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class EscalationStep(models.Model):
    """Wait, then tell these channels, people, and whoever is on call."""

    chain = models.ForeignKey(EscalationChain, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    wait_seconds = models.PositiveIntegerField(
        default=300,
        validators=[MaxValueValidator(86_400)],
        help_text="Seconds after the step before it; of the first step, after the alert.",
    )
    min_severity = models.CharField(
        max_length=8,
        choices=Event.Severity,
        default=Event.Severity.INFO,
        help_text="Left out when the alert is less grave than this.",
    )
    channels = models.ManyToManyField(Channel, blank=True, related_name="+")
    people = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="+")
    schedules = models.ManyToManyField(OnCallSchedule, blank=True, related_name="steps")

    class Meta:
        default_permissions = ()
        ordering = ["chain", "position"]
        constraints = [
            models.UniqueConstraint(name="step_has_its_place", fields=["chain", "position"])
        ]

    def __str__(self) -> str:
        return f"Step {self.position}"


class EscalationRun(models.Model):
    """One escalation at work; its steps are a snapshot, which later edits do not touch."""

    class State(models.TextChoices):
        ACTIVE = "active", "At work"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        RESOLVED = "resolved", "Over"
        EXHAUSTED = "exhausted", "Ended without an answer"

    group = models.ForeignKey(
        "notifications.Group", on_delete=models.CASCADE, related_name="escalations"
    )
    chain_name = models.CharField(max_length=100)
    # As grave as what the present round has told of.
    severity = models.CharField(max_length=8, choices=Event.Severity, blank=True)
    # A list of {"wait_seconds", "min_severity", "channels": [ids], "people": [ids],
    # "schedules": [ids]}.
    steps = models.JSONField()
    repeats = models.PositiveSmallIntegerField(default=0)
    repeats_left = models.PositiveSmallIntegerField(default=0)
    position = models.PositiveSmallIntegerField(default=0)
    next_step_at = models.DateTimeField(null=True, blank=True)
    # Whom the present round has reached; a round that reaches nobody tells everybody.
    told = models.PositiveIntegerField(default=0)
    # What was done: a list of {"at", "step", "told", "why"}; a step is counted from 1.
    log = models.JSONField(default=list)
    state = models.CharField(max_length=12, choices=State, default=State.ACTIVE)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ("view",)
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                name="escalation_is_one_at_work", fields=["group"], condition=Q(state="active")
            ),
            models.CheckConstraint(
                name="escalation_state_is_known",
                condition=Q(state__in=["active", "acknowledged", "resolved", "exhausted"]),
            ),
            models.CheckConstraint(
                name="escalation_at_work_has_a_next_step",
                condition=Q(state="active", next_step_at__isnull=False, ended_at__isnull=True)
                | (~Q(state="active") & Q(next_step_at__isnull=True, ended_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(
                name="escalation_due", fields=["next_step_at"], condition=Q(state="active")
            ),
        ]

    def __str__(self) -> str:
        return self.chain_name
