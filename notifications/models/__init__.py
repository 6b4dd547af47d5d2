"""Who is told: alerts as they were raised, messages as they are sent, and the channels."""

from notifications.models.channels import Channel
from notifications.models.events import Event
from notifications.models.notifications import DeliveryAttempt, Notification

__all__ = ["Channel", "DeliveryAttempt", "Event", "Notification"]
