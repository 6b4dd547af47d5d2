from reliability.models.checks import Check, CheckState, Sample, StateSegment
from reliability.models.incidents import Incident, IncidentEvent
from reliability.models.services import PlatformCheck, Service
from reliability.models.uptime_tests import UptimeTest

__all__ = [
    "Check",
    "CheckState",
    "Incident",
    "IncidentEvent",
    "PlatformCheck",
    "Sample",
    "Service",
    "StateSegment",
    "UptimeTest",
]
