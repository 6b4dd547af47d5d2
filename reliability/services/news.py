"""What the console is told of services and incidents while somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from notifications.engine.audiences import INCIDENTS, SERVICES, of_user
from notifications.services.live import publish_after_commit

if TYPE_CHECKING:
    from uuid import UUID

    from reliability.models import Incident


def service_changed(*, service_id: int, check_id: int | None = None, state: str = "") -> None:
    """Tell that a check says something else now, or that the catalogue has changed."""
    data = {"service": service_id, "check": check_id, "state": state}
    publish_after_commit(SERVICES, "service.changed", data, bulk="services.changed")


def incident_changed(incident: Incident) -> None:
    """Tell that an incident has taken a step or got a note."""
    data = {"incident": incident.pk, "service": incident.service_id, "state": incident.state}
    publish_after_commit(INCIDENTS, "incident.changed", data, bulk="incidents.changed")


def job_finished(*, user_id: UUID, title: str, url: str, ok: bool) -> None:
    """Tell the person who asked for a job that it has ended."""
    publish_after_commit(of_user(user_id), "job.finished", {"title": title, "url": url, "ok": ok})
