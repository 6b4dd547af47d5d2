"""Let everybody in from everywhere again, from the machine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from accounts.services.networks import clear_allow_lists
from core.actors import Actor

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """The way back in when the lists of networks shut everybody out."""

    help = "Empty the lists of allowed networks of the console and of all roles; on the record."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", default="", help="Why; it stands in the audit log.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        cleared = clear_allow_lists(
            actor=Actor.command("clear_allow_lists"), reason=options["reason"]
        )
        if cleared:
            self.stdout.write(
                f"Emptied {cleared} list{'' if cleared == 1 else 's'}. The console and all roles "
                "may be used from anywhere, within a second. Lists of API keys are as they were."
            )
        else:
            self.stdout.write("There was no list; nothing was changed.")
