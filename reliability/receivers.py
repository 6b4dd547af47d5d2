"""What reliability does when a job of its own was ended, or the audit log tells of trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.dispatch import receiver

from audit.signals import chain_damaged, database_bypassed, retention_stuck
from core.actors import SYSTEM
from core.jobs import ended
from core.signals import job_finished, job_started
from notifications.signals import acknowledged as alerts_acknowledged
from reliability.models import UptimeTest
from reliability.services import acknowledged, incidents, own_jobs
from reliability.services.uptime_tests import tell_end

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from audit.models import AuditRecord
    from core.actors import Actor


@receiver(ended, sender=UptimeTest)
def tell(job_id: uuid.UUID, **_: object) -> None:
    """Tell whoever waits for it."""
    tell_end(job_id)


@receiver(chain_damaged)
def open_for_damage(findings: Sequence[str], **_: object) -> None:
    """Open an incident: somebody changed the audit log, or a disk did."""
    incidents.open_own(
        actor=SYSTEM,
        key="audit-damaged",
        title="The audit log is damaged",
        detail=f"{findings[0]} Keep the database and its backups, and verify again.",
    )


@receiver(retention_stuck)
def open_for_retention(reason: str, **_: object) -> None:
    """Open an incident: the log grows, and what should leave the database does not."""
    incidents.open_own(
        actor=SYSTEM,
        key="audit-retention",
        title="Old audit records cannot be archived",
        detail=reason,
    )


@receiver(database_bypassed)
def open_for_bypass(records: Sequence[AuditRecord], **_: object) -> None:
    """Open an incident: a table that decides about access was changed past the platform."""
    first = records[0]
    more = f" and {len(records) - 1} more" if len(records) > 1 else ""
    incidents.open_own(
        actor=SYSTEM,
        key="database-bypassed",
        title="The database was changed past the platform",
        detail=f"{first.target_type} {first.target_id}{more}, by {first.actor_name} "
        f"(audit record {first.pk}).",
    )


@receiver(alerts_acknowledged)
def acknowledge_incidents(dedup_keys: Sequence[str], actor: Actor, **_: object) -> None:
    """Acknowledge the incidents behind a thread; a lost signal is made good by the sweep."""
    acknowledged.from_messages(dedup_keys=dedup_keys, actor=actor)


@receiver(job_started)
def note_start(name: str, **_: object) -> None:
    """Take the beginning of a periodic job as a report of its heartbeat."""
    own_jobs.started(name=name)


@receiver(job_finished)
def note_end(name: str, ok: bool, error: str, **_: object) -> None:  # noqa: FBT001  # a signal's own signature
    """Take its end."""
    own_jobs.finished(name=name, ok=ok, error=error)
