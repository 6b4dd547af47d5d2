"""What happened to accounts, for whoever wants to tell people; sent after commit."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from django.db import transaction
from django.dispatch import Signal

logger = logging.getLogger(__name__)

account_locked: Final = Signal()
"""`name` (empty: nobody's), `address`, `place` (password or second factor), `minutes`."""
many_failures: Final = Signal()
"""`failures`, `minutes`: over all accounts together."""
superuser_signed_in: Final = Signal()
"""`user_id`, `name`, `address`, `session`."""
passkey_cloned: Final = Signal()
"""`user_id`, `name`, `label`: its counter fell, so that somebody may hold a copy."""
refresh_reused: Final = Signal()
"""`user_id`, `name`, `session`, `address`."""
api_key_expiring: Final = Signal()
"""`key_id`, `label`, `owner`, `owner_id`, `days`, `expires_at`."""
mfa_removed: Final = Signal()
"""`user_id`, `name`, `by`, `what`: the second factor is gone, by the person or by an admin."""
default_password: Final = Signal()
"""`user_id`, `name`: somebody of the console has a password that everybody knows."""
access_review_due: Final = Signal()
"""`review_id`, `quarter`, `days_left` (below 0: overdue), `due_at`, `open_items`."""


def tell(signal: Signal, **facts: object) -> None:
    """Send the signal once the running transaction has committed; a receiver harms nobody."""
    transaction.on_commit(partial(_send, signal, facts), robust=True)


def _send(signal: Signal, facts: dict[str, object]) -> None:
    for receiver, answer in signal.send_robust(sender=None, **facts):
        if isinstance(answer, Exception):
            logger.error("A receiver of %s failed.", receiver, exc_info=answer)
