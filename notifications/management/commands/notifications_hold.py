"""Hold all messages back, and let them go again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from core.actors import Actor
from core.errors import InvalidTransitionError
from notifications.selectors import holds as selected
from notifications.services import holds

if TYPE_CHECKING:
    from argparse import ArgumentParser

ACTOR = Actor.command("notifications_hold")


class Command(BaseCommand):
    """Let no message leave, as before a restored database goes to work."""

    help = "Hold all messages back after a restore; --release sends or cancels what waits."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", default="The database was restored.")
        parser.add_argument(
            "--release",
            choices=("send", "cancel"),
            help="End the hold, and send or cancel the messages from before it.",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        if not options["release"]:
            hold = holds.place(actor=ACTOR, reason=options["reason"])
            waiting = selected.waiting(hold)
            self.stdout.write(
                f"No message leaves. {waiting.before} wait from before; look at them in the "
                "console, Queue. Then: manage.py notifications_hold --release send (or cancel)"
            )
            return
        is_cancelling = options["release"] == "cancel"
        try:
            count = holds.release(actor=ACTOR, cancel_old=is_cancelling)
        except InvalidTransitionError as error:
            raise CommandError(error.message) from None
        done = "cancelled" if is_cancelling else "sent"
        self.stdout.write(f"Messages leave again; {count} from before the hold are {done}.")
