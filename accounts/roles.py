"""The one table of roles: groups, docs and tests come from it.

Permissions are Django's `app.codename`. A role that SPEC or the rulings give a route gets the
permission of that route here; `docs/roles.md` is generated from this table.
"""

from typing import Final

_SERVICES_READ: Final = frozenset(
    {
        "reliability.view_service",
        "reliability.view_check",
        "reliability.view_checkstate",
        "reliability.view_statesegment",
        "reliability.view_sample",
        "reliability.view_uptimetest",
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
    }
)
_INCIDENTS_READ: Final = frozenset({"reliability.view_incident", "reliability.view_incidentevent"})
_INCIDENTS_WRITE: Final = _INCIDENTS_READ | frozenset(
    {"reliability.acknowledge_incident", "reliability.change_incident"}
)
_NOTIFICATIONS_READ: Final = frozenset(
    {
        "notifications.view_notification",
        "notifications.view_event",
        "notifications.view_deliveryattempt",
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
    | _INCIDENTS_WRITE
    | _NOTIFICATIONS_READ
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
    | _INCIDENTS_WRITE
    | _NOTIFICATIONS_READ
    | _SYSTEM_READ
    | {"notifications.resend_notification"},
    "manager": _SERVICES_READ | _INCIDENTS_READ | _NOTIFICATIONS_READ | _SYSTEM_READ,
    "engineer": _SERVICES_WRITE
    | _INCIDENTS_READ
    | _NOTIFICATIONS_READ
    | _SYSTEM_READ
    | {"accounts.add_apikey", "reliability.acknowledge_incident"},
    "analyst": frozenset(),
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
