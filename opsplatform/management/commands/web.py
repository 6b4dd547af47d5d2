"""Run the web process alone, for units and containers."""

from typing import Any

from django.core.management.base import BaseCommand

from opsplatform.supervisor.roles import run_web
from opsplatform.supervisor.start import listen


class Command(BaseCommand):
    """Serve HTTP on OPS_HOST and OPS_PORT."""

    help = "Serve HTTP on OPS_HOST and OPS_PORT until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        run_web([listen(wait=0.0)])
