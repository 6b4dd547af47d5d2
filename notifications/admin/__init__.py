"""Who is told of what, in the console: channels, routes, silences, threads, messages, on call."""

from notifications.admin.channels import ChannelAdmin
from notifications.admin.escalation import EscalationChainAdmin
from notifications.admin.events import EventAdmin
from notifications.admin.groups import GroupAdmin
from notifications.admin.oncall import OnCallScheduleAdmin
from notifications.admin.outbox import NotificationAdmin
from notifications.admin.routes import RouteAdmin
from notifications.admin.silences import SilenceAdmin

__all__ = [
    "ChannelAdmin",
    "EscalationChainAdmin",
    "EventAdmin",
    "GroupAdmin",
    "NotificationAdmin",
    "OnCallScheduleAdmin",
    "RouteAdmin",
    "SilenceAdmin",
]
