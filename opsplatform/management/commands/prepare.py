"""Prepare the platform without starting it, for units, containers and recoveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from opsplatform.supervisor.prepare import prepare
from opsplatform.supervisor.static import collect_static

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """What `up` does before it starts the processes."""

    help = "Migrate, sync schedule and channels, collect static files, make the first admin."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--adopt-keyring",
            action="store_true",
            help="Accept this keyring for a database that belonged to another, lost one.",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        collect_static()
        admin = prepare(adopt_keyring=options["adopt_keyring"])
        if admin is not None:
            self.stdout.write(
                f"Sign in as {admin['username']} with the one-time password {admin['password']}"
            )
        self.stdout.write("Prepared.")
