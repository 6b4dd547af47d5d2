"""Route and send messages apart from the daemon."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand, CommandError

from core.drill import refuse_in_drill
from core.errors import NotConfiguredError
from core.loops import Loop, all_loops, close_pool, run_once
from core.models import Process
from core.runner import run_loops

if TYPE_CHECKING:
    from argparse import ArgumentParser

NAMES: Final = ("notifications.route", "notifications.dispatch")


class Command(BaseCommand):
    """Run the loops that tell people, under their leases."""

    help = "Route and send messages until SIGTERM; with --once until nothing is due."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="End when nothing is due.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        try:
            refuse_in_drill()
        except NotConfiguredError as error:
            raise CommandError(error.message) from None
        chosen = [all_loops()[name] for name in NAMES]
        if not options["once"]:
            run_loops(chosen, kind=Process.Kind.DAEMON)
            return
        try:
            for name in asyncio.run(_busy(chosen)):
                self.stdout.write(f"{name}: another process holds the lease and does the work.")
        finally:
            close_pool()


async def _busy(loops: list[Loop]) -> list[str]:
    """Run each loop once, in order, and return those that another process runs."""
    return [loop.name for loop in loops if not await run_once(loop)]
