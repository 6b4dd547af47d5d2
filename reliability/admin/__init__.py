"""Services, checks and incidents in the console."""

from reliability.admin.alerts import AlertAdmin
from reliability.admin.changes import ChangeAdmin
from reliability.admin.checks import CheckAdmin
from reliability.admin.heartbeats import HeartbeatAdmin, HeartbeatPingAdmin
from reliability.admin.incidents import IncidentAdmin
from reliability.admin.maintenance import MaintenanceAdmin
from reliability.admin.objectives import SLOAdmin
from reliability.admin.records import SampleAdmin, StateSegmentAdmin
from reliability.admin.services import ServiceAdmin
from reliability.admin.uptime_tests import UptimeTestAdmin

__all__ = [
    "AlertAdmin",
    "ChangeAdmin",
    "CheckAdmin",
    "HeartbeatAdmin",
    "HeartbeatPingAdmin",
    "IncidentAdmin",
    "MaintenanceAdmin",
    "SLOAdmin",
    "SampleAdmin",
    "ServiceAdmin",
    "StateSegmentAdmin",
    "UptimeTestAdmin",
]
