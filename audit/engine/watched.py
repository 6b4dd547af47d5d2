"""Which tables are watched: a change past the audited services leaves a record of its own.

Only columns that decide who may do what, or what the platform does, are listed. Rows of columns
that the platform keeps itself, such as times of last use, may change freely.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Watch:
    """What of a table matters; without columns every update does."""

    label: str
    columns: tuple[str, ...] = ()
    operations: tuple[str, ...] = ("insert", "update", "delete")
    key: str = "id"


WATCHED: Final[dict[str, Watch]] = {
    "accounts_user": Watch(
        "accounts.User",
        (
            "password",
            "is_superuser",
            "username",
            "email",
            "is_active",
            "is_staff",
            "must_change_password",
            "password_expires_at",
            "disabled_at",
            "epoch",
        ),
    ),
    "accounts_user_groups": Watch("accounts.User.groups"),
    "accounts_user_user_permissions": Watch("accounts.User.permissions"),
    "auth_group": Watch("auth.Group"),
    "auth_group_permissions": Watch("auth.Group.permissions"),
    "accounts_rolepolicy": Watch("accounts.RolePolicy"),
    "accounts_apikey": Watch(
        "accounts.APIKey",
        (
            "key_id",
            "digest",
            "pepper_id",
            "owner_id",
            "scopes",
            "networks",
            "expires_at",
            "revoke_unused",
            "revoked_at",
        ),
    ),
    "accounts_denieddashkey": Watch("accounts.DeniedDashKey", key="fingerprint"),
    # Expired sessions are cleared away by a job; a forged or a revived one is what matters.
    "accounts_usersession": Watch(
        "accounts.UserSession",
        (
            "user_id",
            "session_key",
            "expires_at",
            "methods",
            "mfa_at",
            "reauth_at",
            "refresh_generation",
            "refresh_digest",
            "refresh_previous_digest",
            "refresh_pepper_id",
            "rotated_at",
            "revoked_at",
        ),
        ("insert", "update"),
    ),
    # The feed grows by acts that have their own records; what it has ended must stay ended.
    "accounts_accesschange": Watch(
        "accounts.AccessChange", operations=("update", "delete"), key="seq"
    ),
    "accounts_signingkey": Watch(
        "accounts.SigningKey", ("state", "public_jwk", "private_pem"), key="kid"
    ),
    "accounts_totpdevice": Watch("accounts.TOTPDevice", ("user_id", "sealed_seed", "confirmed_at")),
    "accounts_passkey": Watch("accounts.Passkey", ("user_id", "credential_id", "credential")),
    "accounts_recoverycode": Watch("accounts.RecoveryCode", ("user_id", "digest", "used_at")),
    "accounts_installation": Watch(
        "accounts.Installation", ("keyring_id", "first_admin_at", "generation", "console_networks")
    ),
    "accounts_accessreview": Watch("accounts.AccessReview", ("quarter", "closed_at")),
    "accounts_accessreviewitem": Watch(
        "accounts.AccessReviewItem", ("subject", "decision", "decided_by")
    ),
    "notifications_channel": Watch(
        "notifications.Channel",
        (
            "kind",
            "name",
            "target",
            "config",
            "enabled",
            "fallback_id",
            "rate_per_minute",
            "is_for_people",
            "quiet_from",
            "quiet_until",
            "quiet_days",
        ),
    ),
    "notifications_dispatchhold": Watch("notifications.DispatchHold"),
    "notifications_route": Watch("notifications.Route"),
    "notifications_route_channels": Watch("notifications.Route.channels"),
    "notifications_silence": Watch("notifications.Silence"),
    "notifications_escalationchain": Watch("notifications.EscalationChain"),
    "notifications_escalationstep": Watch("notifications.EscalationStep"),
    "notifications_escalationstep_channels": Watch("notifications.EscalationStep.channels"),
    "notifications_escalationstep_people": Watch("notifications.EscalationStep.people"),
    "notifications_escalationstep_schedules": Watch("notifications.EscalationStep.schedules"),
    "notifications_oncallschedule": Watch("notifications.OnCallSchedule"),
    "notifications_oncallslot": Watch("notifications.OnCallSlot"),
    "notifications_oncalloverride": Watch("notifications.OnCallOverride"),
    "notifications_preference": Watch(
        "notifications.Preference", ("user_id", "min_severity", "subscribes")
    ),
    "notifications_contact": Watch("notifications.Contact"),
    "reliability_service": Watch(
        "reliability.Service",
        ("name", "owner", "tier", "environment", "url", "is_public", "public_name"),
    ),
    "reliability_check": Watch(
        "reliability.Check",
        (
            "service_id",
            "kind",
            "name",
            "url",
            "host",
            "port",
            "method",
            "headers",
            "body",
            "interval_seconds",
            "timeout_seconds",
            "strikes_down",
            "strikes_up",
            "accept",
            "body_contains",
            "assertions",
            "follow_redirects",
            "tls_verify",
            "tls_min_days",
            "dns_type",
            "dns_expected",
            "dns_server",
            "ip_family",
            "down_at_once",
            "enabled",
        ),
    ),
    "reliability_check_parents": Watch("reliability.Check.parents"),
    # What the job reports changes all the time; its address and its rhythm do not.
    "reliability_heartbeat": Watch(
        "reliability.Heartbeat",
        (
            "token",
            "schedule",
            "period_seconds",
            "cron",
            "time_zone",
            "grace_seconds",
            "max_runtime_seconds",
            "job",
        ),
        key="check_id",
    ),
    "reliability_slo": Watch(
        "reliability.SLO",
        (
            "service_id",
            "name",
            "indicator",
            "threshold_ms",
            "objective",
            "window",
            "window_days",
            "names_checks",
            "combine",
            "unknown_policy",
            "gate",
            "policy",
            "enabled",
        ),
    ),
    "reliability_slo_checks": Watch("reliability.SLO.checks"),
    "reliability_maintenancewindow": Watch(
        "reliability.MaintenanceWindow",
        (
            "title",
            "repeat",
            "starts_at",
            "duration_seconds",
            "time_zone",
            "every",
            "weekdays",
            "month_days",
            "cron",
            "until",
            "count",
            "cancelled_at",
        ),
    ),
    "reliability_maintenancewindow_services": Watch("reliability.MaintenanceWindow.services"),
    # A change that was told stays told.
    "reliability_change": Watch("reliability.Change", operations=("update", "delete")),
    "django_celery_beat_periodictask": Watch(
        "django_celery_beat.PeriodicTask",
        (
            "name",
            "task",
            "interval_id",
            "crontab_id",
            "solar_id",
            "clocked_id",
            "args",
            "kwargs",
            "enabled",
        ),
    ),
    "django_celery_beat_crontabschedule": Watch(
        "django_celery_beat.CrontabSchedule", operations=("update",)
    ),
    "django_celery_beat_intervalschedule": Watch(
        "django_celery_beat.IntervalSchedule", operations=("update",)
    ),
    # Records on their way: who lowers a count or marks one as written hides a denial.
    "audit_auditrepeat": Watch("audit.AuditRepeat", key="key"),
    "audit_auditspilled": Watch("audit.AuditSpilled", key="uid"),
}

# Tables that may change without an act, and why.
EXEMPT: Final[dict[str, str]] = {
    "accounts_attemptbucket": "counters of attempts",
    "accounts_loginchallenge": "lives five minutes and proves nothing alone",
    "audit_auditarchive": "guarded: only grows",
    "audit_auditcheckpoint": "guarded: only grows",
    "audit_auditguards": "guarded: only grows",
    "audit_auditkey": "guarded: only grows",
    "audit_auditlink": "guarded: only grows",
    "audit_auditrecord": "guarded: only grows",
    "audit_auditverification": "results that anybody can compute again",
    "auth_permission": "made from code",
    "core_lease": "the platform's own bookkeeping",
    "core_process": "the platform's own bookkeeping",
    "django_admin_log": "unused: the audit log tells more",
    "django_celery_beat_clockedschedule": "names a moment; the job that uses it is watched",
    "django_celery_beat_periodictasks": "bookkeeping of the scheduler",
    "django_celery_beat_solarschedule": "unused",
    "django_content_type": "made from code",
    "django_session": "data of browsers; the sign-ins themselves are watched",
    "notifications_deliveryattempt": "what came of sending",
    "notifications_escalationrun": "how alerts escalated; acts of people are records",
    "notifications_event": "alerts as they happened",
    "notifications_feed": "the live feed",
    "notifications_feedentry": "the live feed",
    "notifications_group": "threads of messages; acts of people are records",
    "notifications_groupmember": "what people were told",
    "notifications_notification": "messages on their way",
    "notifications_readcursor": "what a person has read",
    "observability_health": "has no rows",
    "reliability_alert": "raised by rules; the acts of people are records",
    "reliability_blackout": "when nobody watched",
    "reliability_checkstate": "what checks found",
    "reliability_heartbeatping": "what jobs reported",
    "reliability_incident": "opened by checks; the acts of people are records",
    "reliability_incidentevent": "the timeline of an incident",
    "reliability_liveness": "when the platform last watched",
    "reliability_maintenanceoccurrence": "the times of a window, planned from it",
    "reliability_platformcheck": "which check is the platform's own",
    "reliability_rollup": "sums of what checks found",
    "reliability_sample": "what checks found",
    "reliability_samplechunk": "what checks found",
    "reliability_slosnapshot": "computed from what checks found",
    "reliability_statesegment": "what checks found",
    "reliability_uptimetest": "runs that somebody asked for",
}

_NAME: Final = r"(?:ONLY\s+)?(?:\"?\w+\"?\.)?\"?(\w+)"
_WRITE: Final = re.compile(
    r"\b(INSERT\b[^(]*?\bINTO|REPLACE\s+INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM)\s+" + _NAME,
    re.IGNORECASE,
)
# From the first SET to the last WHERE: more than the columns that are set, never less.
_SET: Final = re.compile(r"\bSET\b(.*)", re.IGNORECASE | re.DOTALL)
_WHERE: Final = re.compile(r"(.*)\bWHERE\b", re.IGNORECASE | re.DOTALL)
_WORD: Final = re.compile(r"\w+")
_VERBS: Final = frozenset({"INSERT", "UPDATE", "DELETE", "REPLAC"})
_READS: Final = frozenset({"SELECT", "SAVEPO", "RELEAS", "ROLLBA"})


def written_table(sql: str) -> str:
    """Return the watched table that a statement changes where it matters, or nothing."""
    verb = sql[:6].upper()
    if verb in _READS:
        return ""
    if verb in _VERBS:
        # The usual form: the table stands in front, and nothing else of the text is looked at.
        found = _WRITE.match(sql)
        return _told(found, sql) if found is not None else ""
    # By hand: after spaces, remarks, or WITH. Any write in it counts.
    return next(filter(None, (_told(found, sql) for found in _WRITE.finditer(sql))), "")


def _told(found: re.Match[str], sql: str) -> str:
    watch = WATCHED.get(found[2].lower())
    if watch is None:
        return ""
    verb = found[1][:6].upper()
    operation = {"UPDATE": "update", "DELETE": "delete"}.get(verb, "insert")
    if operation not in watch.operations:
        return ""
    if operation == "update" and not _sets_one(sql[found.end() :], watch.columns):
        return ""
    return found[2].lower()


def _sets_one(rest: str, columns: tuple[str, ...]) -> bool:
    if not columns:
        return True
    values = _SET.search(rest)
    if values is None:
        return True
    before = _WHERE.match(values[1])
    return not set(_WORD.findall(before[1] if before else values[1])).isdisjoint(columns)
