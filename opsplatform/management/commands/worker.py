"""Run the worker process alone, for units and containers."""

from typing import Any

from django.core.management.base import BaseCommand

from opsplatform.supervisor.roles import run_worker


class Command(BaseCommand):
    """Run the worker until SIGTERM."""

    help = "Work through the queue until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        run_worker()
