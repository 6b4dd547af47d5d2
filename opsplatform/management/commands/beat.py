"""Run the beat process alone, for units and containers."""

from typing import Any

from django.core.management.base import BaseCommand

from opsplatform.supervisor.roles import run_beat


class Command(BaseCommand):
    """Run the beat until SIGTERM."""

    help = "Send what the schedule says until SIGTERM; of several beats one sends."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        run_beat()
