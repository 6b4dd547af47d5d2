"""Who is told: alerts as they were raised, messages as they are sent, channels, the live feed."""

from notifications.models.channels import Channel
from notifications.models.events import Event
from notifications.models.feeds import Feed, FeedEntry, ReadCursor
from notifications.models.notifications import DeliveryAttempt, Notification

__all__ = [
    "Channel",
    "DeliveryAttempt",
    "Event",
    "Feed",
    "FeedEntry",
    "Notification",
    "ReadCursor",
]
