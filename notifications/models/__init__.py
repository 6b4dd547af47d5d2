"""Who is told: alerts as they were raised, messages as they are sent, channels, the live feed."""

from notifications.models.channels import Channel
from notifications.models.escalation import EscalationChain, EscalationRun, EscalationStep
from notifications.models.events import Event
from notifications.models.feeds import Feed, FeedEntry, ReadCursor
from notifications.models.groups import Group, GroupMember
from notifications.models.holds import DispatchHold
from notifications.models.notifications import DeliveryAttempt, Notification
from notifications.models.oncall import OnCallOverride, OnCallSchedule, OnCallSlot
from notifications.models.preferences import Contact, Preference
from notifications.models.routes import Route, Silence

__all__ = [
    "Channel",
    "Contact",
    "DeliveryAttempt",
    "DispatchHold",
    "EscalationChain",
    "EscalationRun",
    "EscalationStep",
    "Event",
    "Feed",
    "FeedEntry",
    "Group",
    "GroupMember",
    "Notification",
    "OnCallOverride",
    "OnCallSchedule",
    "OnCallSlot",
    "Preference",
    "ReadCursor",
    "Route",
    "Silence",
]
