"""Outboxes of any size, multiplied from one message by the database itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

    from notifications.models import Notification

# What differs between the messages, in the language of each database; n counts them.
_POSTGRESQL: Final = {
    "thread_key": "'%(prefix)s:' || n",
    "idempotency_key": "'%(prefix)s-' || n",
    "priority": "(n %% 3) * 10",
    "severity": "(ARRAY['critical', 'warning', 'info'])[n %% 3 + 1]",
    "created_at": "now() - n * interval '1 second' * %(step)s",
    "next_at": "now() - n * interval '1 second' * %(step)s",
    "sent_at": "now() - n * interval '1 second' * %(step)s",
}
_SECONDS_AGO: Final = (
    "strftime('%%Y-%%m-%%d %%H:%%M:%%f000', 'now', '-' || (n * %(step)s) || ' seconds')"
)
_SQLITE: Final = _POSTGRESQL | {
    "severity": "CASE n %% 3 WHEN 0 THEN 'critical' WHEN 1 THEN 'warning' ELSE 'info' END",
    **dict.fromkeys(("created_at", "next_at", "sent_at"), _SECONDS_AGO),
}
_SERIES: Final = {
    "postgresql": "generate_series(1, {count}) AS n",
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) "
    "SELECT n FROM s)",
}


def fill(channel: UUID, count: int, *, state: str = "sent", prefix: str = "old") -> None:
    """Put messages into the outbox; those that were sent lie over the last half year."""
    from django.db import connection

    from notifications.models import Notification

    template = _template(channel, state, prefix)
    varied = _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE
    # What is to be sent is all due; its order is that of urgency alone.
    step = 0.0 if state == "pending" else 180 * 86_400 / count
    given = {"prefix": prefix, "step": step}
    fields = Notification._meta.local_concrete_fields
    columns = [f.column for f in fields if f.column and f.column != "id"]
    kept = {"sent_at"} if state != "sent" else set()
    values = [
        varied[name] % given if name in varied and name not in kept else f"t.{name}"
        for name in columns
    ]
    names = ", ".join(columns)
    series = _SERIES[connection.vendor].format(count=count)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A million rows take longer than the platform's own statements may.
            cursor.execute("SET statement_timeout = 0")
        cursor.execute(
            f"INSERT INTO notifications_notification ({names}) SELECT {', '.join(values)} "  # noqa: S608  # all of it is ours
            f"FROM notifications_notification t CROSS JOIN {series} WHERE t.id = {template.pk}"
        )
    template.delete()


def analyse() -> None:
    """Let the database learn what the table holds, as it does by itself in time."""
    from django.db import connection

    with connection.cursor() as cursor:
        is_postgresql = connection.vendor == "postgresql"
        cursor.execute(("VACUUM ANALYZE" if is_postgresql else "ANALYZE") + _TABLE)


_TABLE: Final = " notifications_notification"


def _template(channel: UUID, state: str, prefix: str) -> Notification:
    from notifications.models import Notification

    now = datetime.now(UTC)
    return Notification.objects.create(
        channel_id=channel,
        channel_name="Benchmark",
        thread_key=f"{prefix}:0",
        seq=1,
        severity="critical",
        priority=0,
        reason="first",
        title="shop is down",
        payload=_PAYLOAD | {"occurred_at": now.isoformat()},
        idempotency_key=f"{prefix}-0",
        state=state,
        sent_at=now if state == "sent" else None,
        expires_at=now + timedelta(hours=24),
    )


_PAYLOAD: Final = {
    "version": 1,
    "kind": "check.down",
    "severity": "critical",
    "status": "firing",
    "title": "shop is down",
    "body": "HTTP 500 after 12 ms",
    "service": "shop",
    "labels": {},
    "links": {"Incident": "https://ops.example.com/incidents/1"},
    "dedup_key": "check:1",
    "seq": 1,
    "reason": "first",
}
