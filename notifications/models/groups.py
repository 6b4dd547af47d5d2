"""Groups: threads of messages, normally one incident each, and the alerts they gather."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from notifications.models.events import Event
from notifications.models.routes import Route


class Group(models.Model):
    """One thread of messages to the people of one route.

    Only the router opens, flushes and closes groups; acknowledgement comes from people. What was
    told stands at the members, so that the next message follows from comparing the two.
    """

    # Receivers know the thread by it; numbers of a restored database would come again.
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    route = models.ForeignKey(Route, null=True, on_delete=models.SET_NULL, related_name="groups")
    route_name = models.CharField(max_length=100)
    group_key = models.CharField(max_length=64)
    # The values that its alerts have in common, by the names of `group_by`.
    common = models.JSONField(default=dict)
    title = models.CharField(max_length=300)
    severity = models.CharField(max_length=8, choices=Event.Severity)
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    flush_at = models.DateTimeField(null=True, blank=True)
    repeat_at = models.DateTimeField(null=True, blank=True)
    last_sent_at = models.DateTimeField(null=True, blank=True)
    last_seq = models.PositiveBigIntegerField(default=0)
    acked_at = models.DateTimeField(null=True, blank=True)
    acked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    acked_name = models.CharField(max_length=200, blank=True)
    # Empty while acknowledged: it holds to the end, or somebody above decides.
    ack_expires_at = models.DateTimeField(null=True, blank=True)
    # Of many threads at once: the one that tells of their alerts instead.
    gathered_into = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="gathered"
    )

    class Meta:
        default_permissions = ("view",)
        permissions = [("acknowledge_group", "Can acknowledge alerts")]
        ordering = ["-id"]
        verbose_name = "thread"
        constraints = [
            models.UniqueConstraint(
                name="group_is_one_while_open",
                fields=["route", "group_key"],
                condition=Q(closed_at__isnull=True),
            ),
        ]
        indexes = [
            models.Index(
                name="group_to_flush", fields=["flush_at"], condition=Q(flush_at__isnull=False)
            ),
            models.Index(
                name="group_to_repeat", fields=["repeat_at"], condition=Q(repeat_at__isnull=False)
            ),
            models.Index(
                name="group_ack_to_expire",
                fields=["ack_expires_at"],
                condition=Q(ack_expires_at__isnull=False),
            ),
            # How many threads a route has opened lately.
            models.Index(name="group_of_route", fields=["route", "opened_at"]),
            # The router looks for the threads of a batch of alerts, whatever their routes.
            models.Index(
                name="group_by_key", fields=["group_key"], condition=Q(closed_at__isnull=True)
            ),
            models.Index(
                name="group_open", fields=["opened_at"], condition=Q(closed_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        """Tell whether messages may still follow."""
        return self.closed_at is None


class GroupMember(models.Model):
    """One alert of a group: how it stands, and what people were last told of it."""

    class Told(models.TextChoices):
        NOTHING = "", "Nothing"
        FIRING = "firing", "Firing"
        RESOLVED = "resolved", "Resolved"
        INFO = "info", "Info"

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="members")
    dedup_key = models.CharField(max_length=200)
    # The newest; what is told quotes it.
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=8, choices=Event.Status)
    severity = models.CharField(max_length=8, choices=Event.Severity)
    since = models.DateTimeField()
    told = models.CharField(max_length=8, choices=Told, default=Told.NOTHING, blank=True)
    # Differs from the newest while there is something to tell.
    told_event_id = models.PositiveBigIntegerField(default=0)
    # Somebody takes care of it; counts while it is no older than `since`.
    acked_at = models.DateTimeField(null=True, blank=True)
    # How grave it was then: whoever takes care of a warning has not heard of a critical alert.
    acked_severity = models.CharField(max_length=8, choices=Event.Severity, blank=True)

    class Meta:
        default_permissions = ()
        ordering = ["group", "since"]
        constraints = [
            models.UniqueConstraint(name="member_is_one_row", fields=["group", "dedup_key"])
        ]
        indexes = [models.Index(name="member_by_alert", fields=["dedup_key"])]

    def __str__(self) -> str:
        return self.dedup_key
