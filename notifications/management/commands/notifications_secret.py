"""Print the secret that signs the webhook of the environment."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from core.actors import Actor
from notifications.services.environment import reveal_webhook_secret


class Command(BaseCommand):
    """Tell the receiver's owner what verifies our signatures; the look is audited."""

    help = "Print the secret that signs what MONITORING_ALERT_WEBHOOK receives."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        actor = Actor.command("notifications_secret")
        self.stdout.write(reveal_webhook_secret(actor=actor))
