"""Services, checks and incidents in the console."""

from reliability.admin.checks import CheckAdmin
from reliability.admin.incidents import IncidentAdmin
from reliability.admin.records import SampleAdmin, StateSegmentAdmin
from reliability.admin.services import ServiceAdmin
from reliability.admin.uptime_tests import UptimeTestAdmin

__all__ = [
    "CheckAdmin",
    "IncidentAdmin",
    "SampleAdmin",
    "ServiceAdmin",
    "StateSegmentAdmin",
    "UptimeTestAdmin",
]
