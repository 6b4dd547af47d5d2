"""Bring the schedule in step with the code."""

from typing import Any

from django.core.management.base import BaseCommand
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from audit.services.acts import unwatched
from audit.services.records import record
from core.actors import Actor
from core.periodic import synchronise


class Command(BaseCommand):
    """Add missing periodic jobs and refresh task, description and expiry of the others."""

    help = "Add missing periodic jobs; timing, queue and switch of existing ones stay untouched."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        with unwatched("the schedule follows the code"):
            created, refreshed = synchronise(CrontabSchedule, PeriodicTask)
            for action, jobs in (("extended", created), ("refreshed", refreshed)):
                if jobs:
                    record(
                        actor=Actor.command("sync_periodic_jobs"),
                        action=f"schedule.{action}",
                        jobs=", ".join(jobs),
                    )
        self.stdout.write(f"{len(created)} added: {', '.join(created) or 'nothing new'}.")
