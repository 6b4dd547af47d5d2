"""Create the first admin and tell the one-time password once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from accounts.services.first_admin import create_first_admin
from core.actors import Actor

if TYPE_CHECKING:
    from argparse import ArgumentParser


_NOTHING = "There is an admin already; nothing was changed."


class Command(BaseCommand):
    """Create the first admin if there is none; safe to run again."""

    help = "Create the first admin if there is none, and tell its one-time password once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--password-file",
            help="Write the password to this new file (0600) instead of printing it.",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        actor = Actor.command("create_first_admin")
        if path := options["password_file"]:
            self._handle_with_file(Path(path), actor)
        elif (made := create_first_admin(actor=actor)) is not None:
            user, password = made
            self.stdout.write(f"Sign in as {user.username} with the one-time password {password}")
        else:
            self.stdout.write(_NOTHING)

    def _handle_with_file(self, path: Path, actor: Actor) -> None:
        # The file comes first: a password that cannot be written must not be set.
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            message = f"{path} cannot be created ({error.strerror}); no admin was made."
            raise CommandError(message) from None
        with os.fdopen(descriptor, "w") as file:
            made = create_first_admin(actor=actor)
            if made is not None:
                file.write(made[1] + "\n")
        if made is None:
            path.unlink()
            self.stdout.write(_NOTHING)
        else:
            self.stdout.write(f"Created {made[0].username}; the password is in {path}.")
