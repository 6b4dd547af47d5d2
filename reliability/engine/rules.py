"""The rules by which alerts are raised, and what makes two alerts the same one."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

_HOUR = 3_600
_DAY = 24 * _HOUR

# From the mildest on.
SEVERITIES = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Rule:
    """What is wrong, how much it matters, and with which other alerts it is one incident.

    `kind` is what messages are routed by. An alert of severity `info` opens no incident. What fires
    again within `reopens_seconds` opens the same incident again. Where nothing `recovers` by
    itself, a person ends the incident and with it the alert; each has an incident of its own.
    """

    name: str
    group: str
    severity: str
    kind: str
    words: str
    reopens_seconds: int = _HOUR
    recovers: bool = True


CHECK_DOWN = Rule(
    "check_down", "availability", "critical", "reliability.check_down", "A check is down"
)
CHECK_FLAPPING = Rule(
    "check_flapping", "availability", "warning", "reliability.check_flapping", "A check flaps"
)
CERTIFICATE_EXPIRES = Rule(
    "certificate_expires",
    "certificates",
    "warning",
    "reliability.certificate_expires",
    "A certificate expires soon",
)
HEARTBEAT_OVERRUN = Rule(
    "heartbeat_overrun",
    "availability",
    "warning",
    "reliability.heartbeat_overrun",
    "A job runs too long",
)
HEARTBEAT_UNUSUAL = Rule(
    "heartbeat_unusual",
    "heartbeats",
    "info",
    "reliability.heartbeat_unusual",
    "A job took another time than usual",
)
SLO_FAST_BURN = Rule(
    "slo_fast_burn",
    "objectives",
    "critical",
    "reliability.slo_fast_burn",
    "An error budget burns fast",
    reopens_seconds=6 * _HOUR,
)
SLO_SLOW_BURN = Rule(
    "slo_slow_burn",
    "objectives",
    "warning",
    "reliability.slo_slow_burn",
    "An error budget burns steadily",
    reopens_seconds=3 * _DAY,
)
SLO_BUDGET_LOW = Rule(
    "slo_budget_low",
    "objectives",
    "warning",
    "reliability.slo_budget_low",
    "Less than a fifth of an error budget is left",
    reopens_seconds=_DAY,
)
PROBER_OFFLINE = Rule(
    "prober_offline",
    "prober",
    "critical",
    "reliability.prober_offline",
    "The platform has no network",
)
PROBER_LATE = Rule("prober_late", "prober", "warning", "reliability.prober_late", "Checks run late")
PLATFORM = Rule(
    "platform",
    "platform",
    "critical",
    "platform.security",
    "Something is wrong with the platform itself",
    recovers=False,
)

RULES = {
    rule.name: rule
    for rule in (
        CHECK_DOWN,
        CHECK_FLAPPING,
        CERTIFICATE_EXPIRES,
        HEARTBEAT_OVERRUN,
        HEARTBEAT_UNUSUAL,
        SLO_FAST_BURN,
        SLO_SLOW_BURN,
        SLO_BUDGET_LOW,
        PROBER_OFFLINE,
        PROBER_LATE,
        PLATFORM,
    )
}


def fingerprint(rule: Rule, key: Mapping[str, str]) -> str:
    """Return what two alerts have in common that are the same one; the order of `key` is none."""
    told = json.dumps([rule.name, sorted(key.items())], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def incident_key(rule: Rule, key: Mapping[str, str], service_id: int | None) -> str:
    """Return what the alerts of one incident have in common: the service and the group of rules."""
    if not rule.recovers:
        return ":".join([rule.kind, *(value for _, value in sorted(key.items()))])[:200]
    return f"{rule.group}:{service_id or 0}"


def worst(*severities: str) -> str:
    """Return the gravest of some severities."""
    return max(severities, key=SEVERITIES.index)
