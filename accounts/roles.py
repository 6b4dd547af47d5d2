"""The one table of roles: groups, docs and tests come from it.

Permissions are Django's `app.codename`. A role that may use a route gets the permission of that
route here; `docs/roles.md` is generated from this table.
"""

from dataclasses import dataclass
from typing import Final

ADMIN: Final = "admin"
"""The role without whose members nobody could mend anything."""

_SERVICES_READ: Final = frozenset(
    {
        "reliability.view_service",
        "reliability.view_check",
        "reliability.view_checkstate",
        "reliability.view_statesegment",
        "reliability.view_sample",
        "reliability.view_uptimetest",
        "reliability.view_heartbeat",
        "reliability.view_heartbeatping",
        "reliability.view_blackout",
        "reliability.view_maintenancewindow",
        "reliability.view_maintenanceoccurrence",
        "reliability.view_change",
        "reliability.view_slo",
        "reliability.view_slosnapshot",
    }
)
_OBJECTIVES_READ: Final = frozenset({"reliability.view_slo", "reliability.view_slosnapshot"})
_MAINTENANCE_WRITE: Final = frozenset(
    {
        "reliability.add_maintenancewindow",
        "reliability.change_maintenancewindow",
        "reliability.delete_maintenancewindow",
    }
)
_SERVICES_WRITE: Final = _SERVICES_READ | frozenset(
    {
        "reliability.add_service",
        "reliability.change_service",
        "reliability.delete_service",
        "reliability.add_check",
        "reliability.change_check",
        "reliability.delete_check",
        "reliability.add_slo",
        "reliability.change_slo",
        "reliability.delete_slo",
        "reliability.add_change",
    }
)
_INCIDENTS_READ: Final = frozenset(
    {"reliability.view_incident", "reliability.view_incidentevent", "reliability.view_alert"}
)
_INCIDENTS_WRITE: Final = _INCIDENTS_READ | frozenset(
    {"reliability.acknowledge_incident", "reliability.change_incident"}
)
_NOTIFICATIONS_READ: Final = frozenset(
    {
        "notifications.view_notification",
        "notifications.view_event",
        "notifications.view_deliveryattempt",
        "notifications.view_group",
        "notifications.view_escalationrun",
        "notifications.view_route",
        "notifications.view_silence",
        "notifications.view_escalationchain",
        "notifications.view_oncallschedule",
    }
)
_ALERTS_HANDLE: Final = frozenset(
    {
        "notifications.acknowledge_group",
        "notifications.add_silence",
        "notifications.change_silence",
        "notifications.delete_silence",
        "notifications.override_oncallschedule",
    }
)
_ROUTES_WRITE: Final = frozenset(
    {
        "notifications.add_route",
        "notifications.change_route",
        "notifications.delete_route",
        "notifications.add_escalationchain",
        "notifications.change_escalationchain",
        "notifications.delete_escalationchain",
        "notifications.add_oncallschedule",
        "notifications.change_oncallschedule",
        "notifications.delete_oncallschedule",
    }
)
_CHANNELS_WRITE: Final = frozenset(
    {
        "notifications.view_channel",
        "notifications.add_channel",
        "notifications.change_channel",
        "notifications.delete_channel",
        "notifications.test_channel",
    }
)
_SYSTEM_READ: Final = frozenset(
    {"core.view_process", "core.view_lease", "observability.view_health"}
)
_SCHEDULE_READ: Final = frozenset(
    {
        "django_celery_beat.view_periodictask",
        "django_celery_beat.view_crontabschedule",
        "django_celery_beat.view_intervalschedule",
        "django_celery_beat.view_clockedschedule",
        "django_celery_beat.view_solarschedule",
    }
)
_SCHEDULE_WRITE: Final = _SCHEDULE_READ | frozenset(
    {
        "django_celery_beat.change_periodictask",
        "django_celery_beat.add_crontabschedule",
        "django_celery_beat.add_intervalschedule",
    }
)
_USERS_READ: Final = frozenset(
    {
        "accounts.view_user",
        "auth.view_group",
        "accounts.view_rolepolicy",
        "accounts.view_installation",
        "accounts.view_usersession",
        "accounts.view_accesschange",
        "accounts.view_signingkey",
        "accounts.view_apikey",
        "accounts.view_denieddashkey",
        "accounts.view_accessreview",
    }
)
_USERS_WRITE: Final = _USERS_READ | frozenset(
    {
        "accounts.add_user",
        "accounts.change_user",
        "accounts.disable_user",
        "accounts.change_rolepolicy",
        "accounts.revoke_usersession",
        "accounts.rotate_signingkey",
        "accounts.revoke_apikey",
        "accounts.change_installation",
        "accounts.decide_accessreview",
    }
)
_AUDIT_READ: Final = frozenset({"audit.view_auditrecord", "audit.export_auditrecord"})

ROLES: Final[dict[str, frozenset[str]]] = {
    "admin": _SERVICES_WRITE
    | _MAINTENANCE_WRITE
    | _INCIDENTS_WRITE
    | _NOTIFICATIONS_READ
    | _ALERTS_HANDLE
    | _ROUTES_WRITE
    | _CHANNELS_WRITE
    | _SYSTEM_READ
    | _SCHEDULE_WRITE
    | _USERS_WRITE
    | _AUDIT_READ
    | {
        "accounts.add_apikey",
        "notifications.resend_notification",
        "reliability.run_uptimetest",
    },
    "operator": _SERVICES_READ
    | _MAINTENANCE_WRITE
    | _INCIDENTS_WRITE
    | _NOTIFICATIONS_READ
    | _ALERTS_HANDLE
    | _SYSTEM_READ
    | {"notifications.resend_notification", "reliability.add_change"},
    "manager": _SERVICES_READ | _INCIDENTS_READ | _NOTIFICATIONS_READ | _SYSTEM_READ,
    "engineer": _SERVICES_WRITE
    | _MAINTENANCE_WRITE
    | _INCIDENTS_READ
    | _NOTIFICATIONS_READ
    | _ALERTS_HANDLE
    | _SYSTEM_READ
    | {"accounts.add_apikey", "reliability.acknowledge_incident"},
    "analyst": _OBJECTIVES_READ,
    "auditor": _SERVICES_READ
    | _INCIDENTS_READ
    | _NOTIFICATIONS_READ
    | _SYSTEM_READ
    | _SCHEDULE_READ
    | _USERS_READ
    | _AUDIT_READ
    | {"notifications.view_channel"},
    "user": frozenset(),
}

PURPOSE: Final[dict[str, str]] = {
    "admin": "everything",
    "operator": "runs and approves operations; no settings, no users",
    "manager": "the operator's reading, and business analytics",
    "engineer": "services, checks, own API keys",
    "analyst": "reads analytics, SLO and drill reports",
    "auditor": "reads everything, changes nothing",
    "user": "own account, sync and notifications",
}

SIGNS_IN_TO_CONSOLE: Final = frozenset(ROLES) - {"user"}
"""Members of these roles are staff: the admin site lets them in and shows what they may see."""


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the platform as people see it, with its permissions in plain words."""

    name: str
    reads: dict[str, str]
    changes: dict[str, str]


AREAS: Final[tuple[Area, ...]] = (
    Area(
        "Services and checks",
        {
            "reliability.view_service": "see services",
            "reliability.view_check": "see checks",
            "reliability.view_checkstate": "see how checks stand",
            "reliability.view_statesegment": "see how checks stood before",
            "reliability.view_sample": "see results",
            "reliability.view_uptimetest": "see uptime tests",
            "reliability.view_heartbeat": "see heartbeats",
            "reliability.view_heartbeatping": "see what jobs reported",
            "reliability.view_blackout": "see when the platform did not watch",
        },
        {
            "reliability.add_service": "add services",
            "reliability.change_service": "change services",
            "reliability.delete_service": "delete services",
            "reliability.add_check": "add checks",
            "reliability.change_check": "change checks",
            "reliability.delete_check": "delete checks",
        },
    ),
    Area("Uptime tests", {}, {"reliability.run_uptimetest": "run checks now"}),
    Area(
        "Objectives (SLO)",
        {
            "reliability.view_slo": "see objectives and their budgets",
            "reliability.view_slosnapshot": "see how budgets went",
        },
        {
            "reliability.add_slo": "add objectives",
            "reliability.change_slo": "change objectives",
            "reliability.delete_slo": "delete objectives",
        },
    ),
    Area(
        "Maintenance",
        {
            "reliability.view_maintenancewindow": "see maintenance",
            "reliability.view_maintenanceoccurrence": "see its times",
        },
        {
            "reliability.add_maintenancewindow": "declare maintenance",
            "reliability.change_maintenancewindow": "change and cancel maintenance",
            "reliability.delete_maintenancewindow": "delete maintenance",
        },
    ),
    Area(
        "Changes of services",
        {"reliability.view_change": "see deploys and other changes"},
        {"reliability.add_change": "record deploys and other changes"},
    ),
    Area(
        "Incidents",
        {
            "reliability.view_incident": "see incidents",
            "reliability.view_incidentevent": "see what happened to them",
            "reliability.view_alert": "see the alerts they gather",
        },
        {
            "reliability.acknowledge_incident": "acknowledge incidents and add notes",
            "reliability.change_incident": "change, resolve and close incidents",
        },
    ),
    Area(
        "Alerts and messages",
        {
            "notifications.view_event": "see alerts",
            "notifications.view_notification": "see messages",
            "notifications.view_deliveryattempt": "see how messages were sent",
            "notifications.view_group": "see threads of messages",
            "notifications.view_escalationrun": "see how alerts escalated",
        },
        {
            "notifications.acknowledge_group": "acknowledge alerts",
            "notifications.resend_notification": "retry, resend and cancel messages",
        },
    ),
    Area(
        "Silences",
        {"notifications.view_silence": "see silences"},
        {
            "notifications.add_silence": "silence alerts",
            "notifications.change_silence": "change silences",
            "notifications.delete_silence": "end silences",
        },
    ),
    Area(
        "Routes and escalation",
        {
            "notifications.view_route": "see who is told of what",
            "notifications.view_escalationchain": "see how alerts escalate",
        },
        {
            "notifications.add_route": "add routes",
            "notifications.change_route": "change routes",
            "notifications.delete_route": "delete routes",
            "notifications.add_escalationchain": "add escalations",
            "notifications.change_escalationchain": "change escalations",
            "notifications.delete_escalationchain": "delete escalations",
        },
    ),
    Area(
        "On call",
        {"notifications.view_oncallschedule": "see who is on call"},
        {
            "notifications.override_oncallschedule": "stand in for somebody on call",
            "notifications.add_oncallschedule": "add schedules",
            "notifications.change_oncallschedule": "change schedules",
            "notifications.delete_oncallschedule": "delete schedules",
        },
    ),
    Area(
        "Channels",
        {"notifications.view_channel": "see channels"},
        {
            "notifications.add_channel": "add channels",
            "notifications.change_channel": "change channels",
            "notifications.delete_channel": "delete channels",
            "notifications.test_channel": "send a test through a channel",
        },
    ),
    Area(
        "Schedule",
        {
            "django_celery_beat.view_periodictask": "see periodic jobs",
            "django_celery_beat.view_crontabschedule": "see crontabs",
            "django_celery_beat.view_intervalschedule": "see intervals",
            "django_celery_beat.view_clockedschedule": "see fixed times",
            "django_celery_beat.view_solarschedule": "see solar times",
        },
        {
            "django_celery_beat.change_periodictask": "change when jobs run",
            "django_celery_beat.add_crontabschedule": "add crontabs",
            "django_celery_beat.add_intervalschedule": "add intervals",
        },
    ),
    Area(
        "Health of the platform",
        {
            "core.view_process": "see processes",
            "core.view_lease": "see which process leads",
            "observability.view_health": "see the health of each part",
        },
        {},
    ),
    Area(
        "People and roles",
        {
            "accounts.view_user": "see people",
            "auth.view_group": "see roles",
            "accounts.view_rolepolicy": "see what roles ask of their members",
            "accounts.view_installation": "see the networks of the console",
        },
        {
            "accounts.add_user": "add people",
            "accounts.change_user": "change people, their roles and passwords",
            "accounts.disable_user": "keep people from signing in",
            "accounts.change_rolepolicy": "change what roles ask of their members",
            "accounts.change_installation": "limit the networks of the console",
        },
    ),
    Area(
        "Other people's sessions",
        {
            "accounts.view_usersession": "see where people are signed in",
            "accounts.view_accesschange": "see what was revoked",
            "accounts.view_signingkey": "see the keys that sign tokens",
        },
        {
            "accounts.revoke_usersession": "end people's sessions",
            "accounts.rotate_signingkey": "rotate the keys that sign tokens",
        },
    ),
    Area("Own API keys", {}, {"accounts.add_apikey": "make API keys of one's own"}),
    Area(
        "Other people's keys",
        {
            "accounts.view_apikey": "see everybody's API keys",
            "accounts.view_denieddashkey": "see dashboard keys",
        },
        {"accounts.revoke_apikey": "revoke API keys and deny dashboard keys"},
    ),
    Area(
        "Access reviews",
        {"accounts.view_accessreview": "see access reviews"},
        {"accounts.decide_accessreview": "confirm and revoke in access reviews"},
    ),
    Area(
        "Audit log",
        {
            "audit.view_auditrecord": "read the audit log",
            "audit.export_auditrecord": "export the audit log",
        },
        {},
    ),
)
"""Every permission of the table stands in one area; a test says so."""


def held_in(area: Area, role: str) -> tuple[list[str], list[str]]:
    """Return in plain words what a role may read and may change in an area."""
    held = ROLES[role]
    return (
        [words for permission, words in area.reads.items() if permission in held],
        [words for permission, words in area.changes.items() if permission in held],
    )


def summary_of(area: Area, role: str) -> str:
    """Return `w` for all of an area, `r` for reading alone, and else what may be changed."""
    reads, changes = held_in(area, role)
    if changes and len(changes) == len(area.changes):
        return "w"
    if changes:
        return ", ".join(changes)
    return "r" if reads else "–"  # noqa: RUF001  # as tables show nothing
