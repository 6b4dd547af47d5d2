from reliability.models.alerts import Alert
from reliability.models.changes import Change
from reliability.models.checks import Check
from reliability.models.heartbeats import Blackout, Heartbeat, HeartbeatPing, Liveness
from reliability.models.incidents import Incident, IncidentEvent
from reliability.models.maintenance import MaintenanceOccurrence, MaintenanceWindow
from reliability.models.objectives import SLO, SLOSnapshot
from reliability.models.samples import Rollup, Sample, SampleChunk
from reliability.models.services import PlatformCheck, Service
from reliability.models.states import CheckState, StateSegment
from reliability.models.uptime_tests import UptimeTest

__all__ = [
    "SLO",
    "Alert",
    "Blackout",
    "Change",
    "Check",
    "CheckState",
    "Heartbeat",
    "HeartbeatPing",
    "Incident",
    "IncidentEvent",
    "Liveness",
    "MaintenanceOccurrence",
    "MaintenanceWindow",
    "PlatformCheck",
    "Rollup",
    "SLOSnapshot",
    "Sample",
    "SampleChunk",
    "Service",
    "StateSegment",
    "UptimeTest",
]
