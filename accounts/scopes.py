"""The one table of scopes: what an API key can be given, and the permissions behind it.

A scope is `<app>:read`, `<app>:write` or `<app>:<verb>`. A key may do what its scopes name and its
owner may do as well. Nothing here touches users, keys, roles or second factors, ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, slots=True)
class Scope:
    """What one scope is for, in plain words, and which permissions it stands for."""

    words: str
    permissions: frozenset[str]

    @property
    def acts(self) -> frozenset[str]:
        """Return the permissions to do something, which set the scope apart from those to read."""
        return frozenset(name for name in self.permissions if ".view_" not in name)


def _scope(words: str, *permissions: str) -> Scope:
    return Scope(words, frozenset(permissions))


_RELIABILITY_READ: Final = (
    "reliability.view_service",
    "reliability.view_check",
    "reliability.view_checkstate",
    "reliability.view_statesegment",
    "reliability.view_sample",
    "reliability.view_uptimetest",
    "reliability.view_incident",
    "reliability.view_incidentevent",
    "reliability.view_alert",
    "reliability.view_heartbeat",
    "reliability.view_heartbeatping",
    "reliability.view_blackout",
    "reliability.view_maintenancewindow",
    "reliability.view_maintenanceoccurrence",
    "reliability.view_change",
    "reliability.view_slo",
    "reliability.view_slosnapshot",
)
_NOTIFICATIONS_READ: Final = (
    "notifications.view_notification",
    "notifications.view_event",
    "notifications.view_deliveryattempt",
    "notifications.view_channel",
    "notifications.view_group",
    "notifications.view_escalationrun",
    "notifications.view_route",
    "notifications.view_silence",
    "notifications.view_escalationchain",
    "notifications.view_oncallschedule",
)

SCOPES: Final[dict[str, Scope]] = {
    "reliability:read": _scope(
        "See services, checks, results, incidents and uptime tests", *_RELIABILITY_READ
    ),
    "reliability:write": _scope(
        "Add, change and delete services, checks and objectives; see all of reliability",
        *_RELIABILITY_READ,
        "reliability.add_service",
        "reliability.change_service",
        "reliability.delete_service",
        "reliability.add_check",
        "reliability.change_check",
        "reliability.delete_check",
        "reliability.add_slo",
        "reliability.change_slo",
        "reliability.delete_slo",
    ),
    "reliability:changes": _scope(
        "Record deploys and other changes of services",
        "reliability.add_change",
        "reliability.view_change",
    ),
    "reliability:maintain": _scope(
        "Declare, change and cancel maintenance",
        "reliability.add_maintenancewindow",
        "reliability.change_maintenancewindow",
        "reliability.delete_maintenancewindow",
        "reliability.view_maintenancewindow",
        "reliability.view_maintenanceoccurrence",
    ),
    "reliability:test": _scope(
        "Run checks now and read the outcome",
        "reliability.run_uptimetest",
        "reliability.view_uptimetest",
    ),
    "reliability:acknowledge": _scope(
        "Acknowledge incidents and add notes",
        "reliability.acknowledge_incident",
        "reliability.view_incident",
        "reliability.view_incidentevent",
    ),
    "reliability:resolve": _scope(
        "Change, resolve and close incidents",
        "reliability.change_incident",
        "reliability.view_incident",
        "reliability.view_incidentevent",
    ),
    "notifications:read": _scope(
        "See alerts, messages, their deliveries and the channels", *_NOTIFICATIONS_READ
    ),
    "notifications:write": _scope(
        "Add, change and delete channels, routes, escalations and schedules; "
        "see all of notifications",
        *_NOTIFICATIONS_READ,
        "notifications.add_channel",
        "notifications.change_channel",
        "notifications.delete_channel",
        "notifications.add_route",
        "notifications.change_route",
        "notifications.delete_route",
        "notifications.add_escalationchain",
        "notifications.change_escalationchain",
        "notifications.delete_escalationchain",
        "notifications.add_oncallschedule",
        "notifications.change_oncallschedule",
        "notifications.delete_oncallschedule",
    ),
    "notifications:acknowledge": _scope(
        "Acknowledge alerts", "notifications.acknowledge_group", "notifications.view_group"
    ),
    "notifications:silence": _scope(
        "Add, change and end silences",
        "notifications.add_silence",
        "notifications.change_silence",
        "notifications.delete_silence",
        "notifications.view_silence",
    ),
    "notifications:override": _scope(
        "Stand in for somebody on call",
        "notifications.override_oncallschedule",
        "notifications.view_oncallschedule",
    ),
    "notifications:test": _scope(
        "Send a test through a channel", "notifications.test_channel", "notifications.view_channel"
    ),
    "notifications:resend": _scope(
        "Retry, resend and cancel messages",
        "notifications.resend_notification",
        "notifications.view_notification",
    ),
    "observability:read": _scope("See the health of the platform", "observability.view_health"),
    "core:read": _scope("See processes and leases", "core.view_process", "core.view_lease"),
    "audit:read": _scope("Read the audit log", "audit.view_auditrecord"),
    "audit:export": _scope(
        "Export the audit log", "audit.export_auditrecord", "audit.view_auditrecord"
    ),
}


def permissions_of(scopes: Iterable[str]) -> frozenset[str]:
    """Return the permissions that these scopes stand for; unknown ones stand for none."""
    return _permissions(tuple(scopes))


@lru_cache(maxsize=1024)
def _permissions(scopes: tuple[str, ...]) -> frozenset[str]:
    found = [SCOPES[scope].permissions for scope in scopes if scope in SCOPES]
    return frozenset[str]().union(*found)


def useful_to(may: Callable[[str], bool]) -> list[str]:
    """Return the scopes that do what they say in somebody's hands.

    All that a scope does must be allowed; of what it only shows, a part is of use.
    """
    return [
        name
        for name, scope in SCOPES.items()
        if (all(map(may, scope.acts)) if scope.acts else any(map(may, scope.permissions)))
    ]


def words_of(scopes: Iterable[str]) -> str:
    """Return in plain words what these scopes allow; what is no scope any more allows nothing."""
    found = [SCOPES[scope].words for scope in scopes if scope in SCOPES]
    return "; ".join(found) or "nothing"
