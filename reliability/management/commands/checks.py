"""Command: checks as files."""

import sys
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.actors import Actor
from core.errors import DomainError
from reliability.engine import exchange as files
from reliability.selectors import exchange as catalogue
from reliability.services import exchange
from reliability.services.exchange_plan import Plan, Verdict, plan

_ACTOR: Final = Actor.command("checks")
_FORMS: Final = {".csv": "csv", ".yaml": "yaml", ".yml": "yaml"}
_SIGNS: Final = {"added": "+", "changed": "~", "refused": "!"}


class Command(BaseCommand):
    """Take checks along as CSV or YAML, and take such a file over."""

    help = "Export checks as CSV or YAML, and import them."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        out = commands.add_parser("export", help="write all services with their checks")
        out.add_argument("--format", choices=["csv", "yaml"], default="yaml")
        out.add_argument("--output", help="a file; without it, the standard output")
        into = commands.add_parser("import", help="add and change what a file says")
        into.add_argument("file", help="a .csv or .yaml file, or - for the standard input")
        into.add_argument("--format", choices=["csv", "yaml"], help="what the file is")
        into.add_argument("--dry-run", action="store_true", help="only say what would happen")

    def handle(self, *_: str, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        try:
            if options["command"] == "export":
                self._export(options["format"], options["output"])
            else:
                self._import(options["file"], options["format"], dry_run=options["dry_run"])
        except DomainError as error:
            details = [text for texts in error.errors.values() for text in texts]
            raise CommandError("\n".join([error.message, *details])) from error
        except OSError as error:
            message = f"{error.filename}: {error.strerror}"
            raise CommandError(message) from error

    def _export(self, form: str, output: str | None) -> None:
        exchange.note_export(actor=_ACTOR, form=form)
        parts = (
            files.write_csv(catalogue.rows(), catalogue.COLUMNS)
            if form == "csv"
            else files.write_yaml(catalogue.services())
        )
        if output is None:
            for part in parts:
                self.stdout.write(part, ending="")
            return
        with Path(output).open("w", encoding="utf-8", newline="") as file:
            file.writelines(parts)

    def _import(self, name: str, form: str | None, *, dry_run: bool) -> None:
        form = form or _FORMS.get(Path(name).suffix.lower())
        if form is None:
            message = "Say with --format whether this is csv or yaml."
            raise CommandError(message)
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        rows = exchange.rows_of(content, form)
        made = plan(rows) if dry_run else exchange.take_over(actor=_ACTOR, rows=rows)
        self._tell(made, dry_run=dry_run)
        if made.refused:
            message = f"{len(made.refused)} lines cannot be used; nothing would be taken over."
            raise CommandError(message)

    def _tell(self, made: Plan, *, dry_run: bool) -> None:
        for line in made.lines:
            if line.verdict is not Verdict.LEFT:
                name = f"{line.service}: {line.check}" if line.check else line.service
                text = f" ({line.text})" if line.text else ""
                self.stdout.write(f"{_SIGNS[line.verdict]} line {line.number}: {name}{text}")
        counts = made.counts
        told = f"{counts['added']} added, {counts['changed']} changed, {counts['left']} left"
        self.stdout.write(f"{'Would be: ' if dry_run else ''}{told}.")
