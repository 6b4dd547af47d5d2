"""Show what can be configured, and what is."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from opsplatform.env import ENV


class Command(BaseCommand):
    """List the variables; values are never shown, only whether one is given."""

    help = "List the environment variables that the platform reads. Values are not shown."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        section = ""
        for variable in ENV.variables.values():
            if variable.section != section:
                section = variable.section
                self.stdout.write(f"\n{section}")
            mark = "set" if ENV.given(variable.name) else "-"
            self.stdout.write(f"  {variable.name:<26} {mark:<4} {variable.about}")
