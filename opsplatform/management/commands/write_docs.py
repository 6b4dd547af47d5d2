"""Write the reference pages that come from code, or check that they are in step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from opsplatform import reference

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Write docs/configuration.md, roles.md, schedule.md and openapi.yaml."""

    help = "Write the pages of docs/ that come from code; --check only compares."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="Exit 1 if a page is out of step.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        stale = []
        for name, render in reference.PAGES.items():
            path = settings.BASE_DIR / "docs" / name
            text = render()
            if options["check"]:
                if not path.exists() or path.read_text(encoding="utf-8") != text:
                    stale.append(f"docs/{name}")
                continue
            path.write_text(text, encoding="utf-8")
            self.stdout.write(f"docs/{name}")
        if stale:
            message = f"Out of step with the code: {', '.join(stale)}. Run: make docs"
            raise CommandError(message)
