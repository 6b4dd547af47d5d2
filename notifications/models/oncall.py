"""On call: who is asked in which hours of the week."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class OnCallSchedule(models.Model):
    """A week of slots in one time zone; overrides take precedence over them."""

    name = models.CharField(max_length=100, unique=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        permissions = [("override_oncallschedule", "Can stand in for somebody on call")]
        verbose_name = "on-call schedule"

    def __str__(self) -> str:
        return self.name


class OnCallSlot(models.Model):
    """Hours of one weekday; an end at or before the start lies on the next day."""

    class Weekday(models.IntegerChoices):
        MONDAY = 0, "Monday"
        TUESDAY = 1, "Tuesday"
        WEDNESDAY = 2, "Wednesday"
        THURSDAY = 3, "Thursday"
        FRIDAY = 4, "Friday"
        SATURDAY = 5, "Saturday"
        SUNDAY = 6, "Sunday"

    schedule = models.ForeignKey(OnCallSchedule, on_delete=models.CASCADE, related_name="slots")
    weekday = models.PositiveSmallIntegerField(choices=Weekday)
    starts = models.TimeField()
    ends = models.TimeField()
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="on_call_slots"
    )

    class Meta:
        default_permissions = ()
        ordering = ["schedule", "weekday", "starts"]
        constraints = [
            models.CheckConstraint(name="slot_weekday_is_known", condition=Q(weekday__lte=6)),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.starts:%H:%M} to {self.ends:%H:%M}"


class OnCallOverride(models.Model):
    """Somebody stands in between two moments."""

    schedule = models.ForeignKey(OnCallSchedule, on_delete=models.CASCADE, related_name="overrides")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="on_call_overrides"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200, blank=True)
    author = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ()
        ordering = ["schedule", "starts_at"]
        constraints = [
            models.CheckConstraint(
                name="override_ends_after_it_starts", condition=Q(ends_at__gt=F("starts_at"))
            ),
        ]
        indexes = [models.Index(name="override_by_end", fields=["schedule", "ends_at"])]

    def __str__(self) -> str:
        return f"{self.starts_at:%d %b %Y %H:%M} to {self.ends_at:%d %b %Y %H:%M}"
