"""Bring the schedule in step with the code."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from core.periodic import synchronise


class Command(BaseCommand):
    """Add missing periodic jobs and refresh task, description and expiry of the others."""

    help = "Add missing periodic jobs; timing, queue and switch of existing ones stay untouched."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        created = synchronise(CrontabSchedule, PeriodicTask)
        self.stdout.write(f"{len(created)} added: {', '.join(created) or 'nothing new'}.")
