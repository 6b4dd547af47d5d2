"""Give a person a one-time password from the machine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from accounts.services import api_keys, mfa
from accounts.services.users import ONE_TIME_HOURS, reset_password
from core.actors import Actor

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """The way back in when nobody can sign in."""

    help = "Give a person a new one-time password and tell it once; on the record."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument(
            "--remove-second-factors",
            action="store_true",
            help="also forget apps, passkeys and recovery codes, for whoever lost them",
        )
        parser.add_argument(
            "--end-api-keys",
            action="store_true",
            help="also end the API keys, when somebody else may have known the password",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        try:
            user = User.objects.get_by_natural_key(options["username"])
        except User.DoesNotExist:
            message = f"There is no user {options['username']}."
            raise CommandError(message) from None
        actor = Actor.command("reset_password")
        if options["remove_second_factors"]:
            mfa.reset(actor=actor, user_id=user.pk)
            self.stdout.write(f"{user.username} has no second factor any more")
        if options["end_api_keys"]:
            ended = api_keys.revoke_all(
                actor=actor, user_id=user.pk, reason="Ended with the password."
            )
            self.stdout.write(f"API keys ended: {ended}")
        # Whoever is at the machine may reset the last admin: it is how one comes back in.
        password = reset_password(actor=actor, user_id=user.pk, even_last_admin=True)
        self.stdout.write(
            f"Sign in as {user.username} with the one-time password {password} "
            f"(valid for {ONE_TIME_HOURS} hours)"
        )
