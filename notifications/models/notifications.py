"""The outbox: one row per message, channel and recipient, and the history of its attempts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import models
from django.db.models import OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from notifications.models.channels import Channel
from notifications.models.events import Event
from notifications.models.groups import Group

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.sql.compiler import SQLCompiler

LIFETIME: Final = timedelta(hours=24)


class _InOrder(models.Func):
    """A column by which SQLite shall not look rows up, since they come in order without that."""

    arity = 1
    template = "%(expressions)s"

    def as_sqlite(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        **extra_context: Any,  # noqa: ANN401  # Django's signature
    ) -> tuple[str, tuple[str | int, ...]]:
        """Return the column with the sign that keeps SQLite from using an index for it."""
        extra_context["template"] = "+%(expressions)s"
        sql, params = self.as_sql(compiler, connection, **extra_context)
        return sql, tuple(params)


class NotificationQuerySet(models.QuerySet["Notification"]):
    """Questions that dispatchers, services and pages ask of the outbox."""

    def pending(self) -> NotificationQuerySet:
        """Return what is to be sent, now or later."""
        return self.filter(state=Notification.State.PENDING)

    def unleased(self) -> NotificationQuerySet:
        """Return what no living dispatcher is sending."""
        return self.filter(Q(lease_until__isnull=True) | Q(lease_until__lt=Now()))

    def due(self) -> NotificationQuerySet:
        """Return what may be sent now, judged by the database's clock."""
        return self.pending().unleased().filter(next_at__lte=Now(), expires_at__gt=Now())

    def next_due(self) -> NotificationQuerySet:
        """Return what may be sent now in its order, as the index has it.

        Asked for `due` in order, SQLite would look the rows up by time and sort the whole queue.
        """
        rows = self.pending().unleased().filter(expires_at__gt=Now())
        at = _InOrder("next_at", output_field=models.DateTimeField())
        return rows.alias(in_order=at).filter(in_order__lte=Now()).order_by("priority", "next_at")

    def unblocked(self) -> NotificationQuerySet:
        """Leave out what must wait for an earlier message of its thread to the same person.

        "Down" goes before "resolved". An earlier message blocks only while it is pending.
        """
        earlier = Notification.objects.pending().filter(
            Q(seq__lt=OuterRef("seq")) | Q(seq=OuterRef("seq"), pk__lt=OuterRef("pk")),
            thread_key=OuterRef("thread_key"),
            channel=OuterRef("channel"),
            recipient=OuterRef("recipient"),
        )
        # As a value, and not as EXISTS, which PostgreSQL makes a join of: where it does not know
        # yet of a sudden flood, that reads the whole queue for each message.
        first = models.Subquery(earlier.order_by().values("pk")[:1])
        return self.alias(earlier=first).filter(earlier__isnull=True)

    def lost(self) -> NotificationQuerySet:
        """Return what a channel could not deliver."""
        return self.filter(state=Notification.State.DEAD).exclude(channel_name="")

    def for_nobody(self) -> NotificationQuerySet:
        """Return what had nobody to go to, and says why."""
        return self.filter(state=Notification.State.DEAD, channel_name="")

    def held_by(self, token: UUID) -> NotificationQuerySet:
        """Return what this claim still holds; a claim that was taken over holds nothing."""
        return self.pending().filter(lease_token=token)


class Notification(models.Model):
    """One message to one recipient through one channel.

    The payload is a snapshot: a later change of the event or the service does not change what is
    repeated under the same key. "In flight" is pending with a live lease.
    """

    class State(models.TextChoices):
        HELD = "held", "Held in quiet hours"
        PENDING = "pending", "Pending"
        SENT = "sent", "Sent"
        DEAD = "dead", "Dead"
        SUPERSEDED = "superseded", "Superseded"
        SUPPRESSED = "suppressed", "Suppressed"
        CANCELLED = "cancelled", "Cancelled"

    class Reason(models.TextChoices):
        FIRST = "first", "Alert"
        NEW_ALERTS = "new_alerts", "More alerts"
        UPDATE = "update", "News of an alert"
        NEW_RESOLVED = "new_resolved", "Some resolved"
        ALL_RESOLVED = "all_resolved", "Resolved"
        REPEAT = "repeat", "Still holds"
        STORM = "storm", "Many alerts at once"
        ESCALATION = "escalation", "Nobody has acknowledged"
        ACK_EXPIRED = "ack_expired", "Acknowledged, yet not over"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        DIGEST = "digest", "Digest of quiet hours"
        FALLBACK = "fallback", "Instead of another channel"
        RESEND = "resend", "Sent again by hand"
        TEST = "test", "Test"

    class Priority(models.IntegerChoices):
        CRITICAL = 0, "Critical"
        WARNING = 10, "Warning"
        INFO = 20, "Info"

    event = models.ForeignKey(
        Event, null=True, blank=True, on_delete=models.PROTECT, related_name="notifications"
    )
    group = models.ForeignKey(
        Group, null=True, blank=True, on_delete=models.SET_NULL, related_name="notifications"
    )
    # Whom it is for, if it is for one person and not for a channel's own recipients.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    # The history outlives the channel; its name stays.
    channel = models.ForeignKey(
        Channel, null=True, blank=True, on_delete=models.SET_NULL, related_name="notifications"
    )
    channel_name = models.CharField(max_length=100, blank=True)
    recipient = models.CharField(max_length=320, blank=True)
    thread_key = models.CharField(max_length=200)
    seq = models.PositiveBigIntegerField()
    severity = models.CharField(max_length=8, choices=Event.Severity)
    priority = models.PositiveSmallIntegerField(choices=Priority)
    reason = models.CharField(max_length=20, choices=Reason)
    title = models.CharField(max_length=300)
    payload = models.JSONField()
    original = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="resends"
    )
    superseded_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="supersedes"
    )
    idempotency_key = models.CharField(max_length=60, unique=True)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    created_at = models.DateTimeField(default=timezone.now)
    next_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    wait_seconds = models.FloatField(default=0.0)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    uncertain = models.BooleanField(default=False)
    provider_ref = models.CharField(max_length=200, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        # Ids rise with time and are unique, which a position between pages must be.
        ordering = ["-id"]
        permissions = [("resend_notification", "Can retry, resend and cancel messages")]
        constraints = [
            models.CheckConstraint(
                name="notification_state_is_known",
                condition=Q(
                    state__in=[
                        "held",
                        "pending",
                        "sent",
                        "dead",
                        "superseded",
                        "suppressed",
                        "cancelled",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="notification_sent_has_a_time",
                condition=~Q(state="sent") | Q(sent_at__isnull=False),
            ),
            models.CheckConstraint(
                name="notification_end_has_a_reason",
                condition=Q(state__in=["held", "pending", "sent"]) | ~Q(last_error=""),
            ),
            models.CheckConstraint(
                name="notification_only_pending_is_leased",
                condition=Q(lease_token__isnull=True, lease_until__isnull=True)
                | Q(state="pending", lease_token__isnull=False, lease_until__isnull=False),
            ),
        ]
        indexes = [
            # A claim reads the due rows of one channel in this order.
            models.Index(
                name="notification_due",
                fields=["channel", "priority", "next_at"],
                condition=Q(state="pending"),
            ),
            # Each claimed row asks whether an earlier one of its thread is still pending.
            models.Index(
                name="notification_thread",
                fields=["thread_key", "channel", "recipient", "seq"],
                condition=Q(state="pending"),
            ),
            # Held ones are looked for when quiet hours end, and when it is over.
            models.Index(name="notification_held", fields=["next_at"], condition=Q(state="held")),
            # Of a thread: whom it has reached, and what a newer message supersedes.
            models.Index(name="notification_of_group", fields=["group", "seq"]),
            # Retention.
            models.Index(name="notification_by_age", fields=["created_at"]),
            # Pages of one state; those of the whole queue follow the primary key.
            models.Index(name="notification_by_state", fields=["state", "-id"]),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_for_nobody(self) -> bool:
        """Whether there was nobody to send it to, so that no channel has lost it."""
        return self.state == self.State.DEAD and not self.channel_name


class DeliveryAttempt(models.Model):
    """One attempt to send a message; written once, when its end is known or will never be."""

    class Outcome(models.TextChoices):
        DELIVERED = "delivered", "Delivered"
        RETRY = "retry", "Failed, to be tried again"
        REFUSED = "refused", "Refused"
        UNKNOWN = "unknown", "Ended without an answer"

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="history")
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=9, choices=Outcome)
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    retry_after_seconds = models.FloatField(null=True, blank=True)
    error_class = models.CharField(max_length=60, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    excerpt = models.CharField(max_length=1024, blank=True)

    class Meta:
        ordering = ["notification", "number"]
        constraints = [
            models.UniqueConstraint(name="attempt_is_one_row", fields=["notification", "number"]),
            models.CheckConstraint(
                name="attempt_outcome_is_known",
                condition=Q(outcome__in=["delivered", "retry", "refused", "unknown"]),
            ),
            models.CheckConstraint(
                name="attempt_without_answer_has_no_end",
                condition=Q(ended_at__isnull=True, outcome="unknown")
                | (Q(ended_at__isnull=False) & ~Q(outcome="unknown")),
            ),
        ]

    def __str__(self) -> str:
        return f"Attempt {self.number}"
