"""Run the loops alone, for units and containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from core.loops import all_loops
from opsplatform.supervisor.roles import run_daemon

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Run the loops of every app, each under its lease."""

    help = "Run the loops of every app, each under its lease, until SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--only",
            action="append",
            default=[],
            choices=sorted(all_loops()),
            help="One loop; repeatable.",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        run_daemon(options["only"])
