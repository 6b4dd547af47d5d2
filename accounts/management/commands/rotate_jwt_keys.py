"""Rotate the keys that sign access tokens, or revoke one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import SigningKey
from accounts.services import signing_keys
from core.actors import Actor
from core.errors import DomainError

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Rotation signs nobody out; revoking a key ends the tokens that it signed."""

    help = (
        "Stage the next key that signs access tokens; it signs in ten minutes, and nobody is "
        "signed out. With --revoke KID, a key and all that it signed end at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--revoke", metavar="KID", help="end this key and what it signed")
        parser.add_argument("--reason", default="Revoked on the machine.", help="for the record")
        parser.add_argument("--list", action="store_true", help="show the keys and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        actor = Actor.command("rotate_jwt_keys")
        try:
            if options["list"]:
                self._list()
            elif options["revoke"]:
                signing_keys.revoke(actor=actor, kid=options["revoke"], reason=options["reason"])
                self.stdout.write(f"Revoked {options['revoke']}; its tokens have ended.")
            elif not SigningKey.objects.filter(state=SigningKey.State.ACTIVE).exists():
                signing_keys.make_first(actor=actor)
                self.stdout.write("Made the first key; it signs now.")
            else:
                kid = signing_keys.rotate(actor=actor)
                self.stdout.write(f"Staged {kid}; it signs in ten minutes.")
        except DomainError as error:
            raise CommandError(error.message) from error

    def _list(self) -> None:
        for key in SigningKey.objects.defer("private_pem"):
            self.stdout.write(f"{key.kid}  {key.state:8}  since {key.sign_from:%Y-%m-%d %H:%M} UTC")
