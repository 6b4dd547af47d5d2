"""Channels, alerts and messages in the console."""

from notifications.admin.channels import ChannelAdmin
from notifications.admin.outbox import EventAdmin, NotificationAdmin

__all__ = ["ChannelAdmin", "EventAdmin", "NotificationAdmin"]
