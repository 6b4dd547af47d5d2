"""Verify the audit log from a terminal, a script or CI."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from audit.engine.chain import read_head
from audit.services import verification
from core.actors import Actor

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Exit 0 when the log is sound, 1 when it is damaged, 2 when nobody could tell."""

    help = (
        "Verify the chain of the audit log. Exit code 0: sound. 1: damaged, the first place and "
        "kind are named. 2: it could not be verified."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", type=int, dest="from_seq", help="first seq of a range")
        parser.add_argument("--to", type=int, dest="to_seq", help="last seq of a range")
        parser.add_argument(
            "--checkpoint", type=Path, help="a head that was kept elsewhere, as JSON"
        )

        parser.add_argument(
            "--quick", action="store_true", help="leave keyed digests and archives out"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        head = self._head(options["checkpoint"])
        try:
            report = verification.verify(
                from_seq=options["from_seq"],
                to_seq=options["to_seq"],
                head=head,
                quick=options["quick"],
            )
            is_whole = options["from_seq"] is None and options["to_seq"] is None
            if is_whole and not options["quick"]:
                verification.note(report, actor=Actor.command("verify_audit_chain"))
        except Exception as error:
            # Whatever it is, it is neither a sound log nor a damaged one.
            name = "" if isinstance(error, verification.RangeError) else f"{type(error).__name__}: "
            message = f"The audit log could not be verified: {name}{error}"
            raise CommandError(message, returncode=2) from error
        for text in report.notes:
            self.stdout.write(text)
        if report.findings:
            for finding in report.findings:
                self.stderr.write(str(finding))
            self.stderr.write("The audit log is damaged. Keep the database and its backups.")
            sys.exit(1)
        self.stdout.write(
            f"Sound: {report.rows} records verified, {report.size} sealed, head {report.chain}."
        )

    def _head(self, path: Path | None) -> dict[str, Any] | None:
        if path is None:
            return None
        try:
            head = json.loads(path.read_text(encoding="utf-8"))
            read_head(head)
        except (OSError, ValueError) as error:
            message = f"{path} holds no head of the audit log: {error}"
            raise CommandError(message, returncode=2) from error
        return dict(head)
