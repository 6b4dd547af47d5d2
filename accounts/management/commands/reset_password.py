"""Give a person a one-time password from the machine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from accounts.services.users import ONE_TIME_HOURS, reset_password
from core.actors import Actor

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """The way back in when nobody can sign in."""

    help = "Give a person a new one-time password and tell it once; on the record."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        try:
            user = User.objects.get_by_natural_key(options["username"])
        except User.DoesNotExist:
            message = f"There is no user {options['username']}."
            raise CommandError(message) from None
        password = reset_password(actor=Actor.command("reset_password"), user_id=user.pk)
        self.stdout.write(
            f"Sign in as {user.username} with the one-time password {password} "
            f"(valid for {ONE_TIME_HOURS} hours)"
        )
