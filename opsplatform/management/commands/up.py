"""Run the whole platform."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import setproctitle
from django.core.management.base import BaseCommand, CommandError

from opsplatform.supervisor.child import ask_for_signal_on_parents_death
from opsplatform.supervisor.start import start

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Prepare the database, then run web, worker, beat and daemon until a signal."""

    help = "Run the whole platform: web, worker, beat and daemon, under one supervisor."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--with-parent", action="store_true", help="Stop when the starting process dies."
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        if options["with_parent"]:
            ask_for_signal_on_parents_death(os.getppid())
        setproctitle.setproctitle("opsplatform: up")
        try:
            start()
        except KeyboardInterrupt:
            message = "Interrupted before the platform was started."
            raise CommandError(message) from None
