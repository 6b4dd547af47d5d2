"""End every sign-in of everybody, from the machine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from accounts.services.revocation import end_everything
from core.actors import Actor

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """For a restored database, and for a secret that may be in other hands."""

    help = (
        "End every session and every token of everybody, on every device, and say so in the audit "
        "log. Everybody signs in again. API keys and dashboard keys stay as they are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--reason", default="Ended on the machine.", help="Why; it stands in the audit log."
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        ended = end_everything(
            actor=Actor.command("end_all_sessions"), reason=options["reason"]
        ).sessions
        self.stdout.write(
            f"Ended {ended} session{'' if ended == 1 else 's'}, and all tokens. Every process "
            "knows within a second; everybody signs in again. API keys and dashboard keys are as "
            "they were."
        )
