"""Make a random dashboard key for ROLES_JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from accounts.roles import ROLES
from accounts.services.dashboard_keys import make

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Print a key and its entry; nothing is stored."""

    help = "Make a random dashboard key and print its entry for ROLES_JSON; nothing is stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", choices=sorted(ROLES))

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        key, entry = make(options["role"])
        self.stdout.write(f"Key for the header X-Dash-Key: {key}")
        self.stdout.write(f"Add to ROLES_JSON, then start the platform anew: {entry}")
