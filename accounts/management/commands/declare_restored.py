"""Say that the database was restored: whoever brings a backup back runs it first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from accounts.services.revocation import end_everything
from audit.engine.chain import read_head
from audit.services import verification
from core.actors import Actor

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Declare the fork of the audit log, and end every sign-in of the lost future."""

    help = (
        "Declare that the platform's database was restored from a backup. The audit log records "
        "the head that was left behind and the one it goes on from, and everybody signs in again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--head",
            type=Path,
            help="the newest head before the restore, as JSON; without it the one that "
            "OPS_DATA_DIR/audit/head.json keeps",
        )
        parser.add_argument("--reason", default="", help="Why; it stands in the audit log.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        actor, reason = Actor.command("declare_restored"), options["reason"]
        try:
            verification.declare_restored(
                actor=actor, previous=self._head(options["head"]), reason=reason
            )
        except ValueError as error:
            message = f"The head that this machine keeps cannot be used: {error} Name one: --head."
            raise CommandError(message) from error
        ended = end_everything(actor=actor, reason=reason or "The database was restored.")
        self.stdout.write(
            f"Declared. Ended {ended.sessions} sessions and all tokens; everybody signs in again."
        )

    def _head(self, path: Path | None) -> dict[str, Any] | None:
        if path is None:
            return None
        try:
            head = json.loads(path.read_text(encoding="utf-8"))
            read_head(head)
        except (OSError, ValueError) as error:
            message = f"{path} holds no head of the audit log: {error}"
            raise CommandError(message) from error
        return dict(head)
